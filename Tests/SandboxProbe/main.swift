import CProbe
import Compute
import Foundation
import Sandbox

// A confined process that tries one thing and prints "done", or the name of the error. Its standard input is the
// confinement as JSON, its arguments what to try; it stays as free as it is where a third one is "free".

func said(_ succeeded: Bool) -> String { succeeded ? "done" : String(cString: strerror(errno)) }

let confinement = try JSONDecoder().decode(Confinement.self, from: try FileHandle.standardInput.readToEnd() ?? Data())
let (deed, target) = (CommandLine.arguments[1], CommandLine.arguments.dropFirst(2).first ?? "")
guard CommandLine.arguments.last == "free" || confinement.apply() else { exit(9) }

switch deed {
case "read": print(said(open(target, O_RDONLY) >= 0))
case "write": print(said(open(target, O_WRONLY | O_CREAT | O_TRUNC, 0o600) >= 0))
case "rename": print(said(rename(target, target + ".new") == 0))
case "connect": print(said(socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) >= 0))
case "unix": print(said(socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0) >= 0))
case "signal": print(said(kill(getppid(), 0) == 0))
case "exec":
    var child = pid_t()
    let arguments: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/true"), nil]
    let code = posix_spawn(&child, "/bin/true", nil, nil, arguments, nil)
    print(code == 0 ? "done" : String(cString: strerror(code)))
case "code": print(said(mmap(nil, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED))
case "limits":
    var limits = rlimit(rlim_cur: 1 << 40, rlim_max: 1 << 40)
    print(said(setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limits) == 0))
case "threads":
    // Threads are what computing needs, and they are confined as well.
    let thread = Thread {
        print(said(socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) >= 0)); exit(0)
    }
    thread.start()
    sleep(10)
case "memory":
    let bytes = (Int(target) ?? 0) << 20
    print(said(mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED))
case "descriptors":
    var count = 0
    while open("/dev/null", O_RDONLY) >= 0 { count += 1 }
    print(count)
case "loop": while true {}
case "silence": sleep(60)
case "talk": while true { print(String(repeating: "x", count: 1 << 16)) }
case "crash": fatalError("on purpose")
case "endless": while true { FileHandle.standardOutput.write(Data(repeating: 0x78, count: 1 << 20)) }
case "again":
    while true {
        FileHandle.standardOutput.write(Data("again\n".utf8))
        usleep(100_000)
    }
case "turn":
    // Says when it has the turn, and keeps it.
    ThreadTeam(threads: 1, turns: Turns.descriptor).run { _ in
        FileHandle.standardOutput.write(Data("turn\n".utf8))
        if target == "keep" { sleep(60) }
    }
case "turns":
    let team = ThreadTeam(threads: 1, turns: Turns.descriptor)
    for _ in 0..<(Int(target) ?? 0) { team.run { _ in } }
    print("done")
case "noise":
    // Asks without end and takes nothing, gives back what it has not.
    while write(Turns.descriptor, "?.?x?", 5) > 0 {}
case "environment": print(ProcessInfo.processInfo.environment.keys.sorted().joined(separator: " "))
default:
    let error = cp_try(deed, target)
    guard error >= 0 else { exit(8) }
    print(error == 0 ? "done" : String(cString: strerror(error)))
}
