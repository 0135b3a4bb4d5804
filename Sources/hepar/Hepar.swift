import ArgumentParser

@main
struct Hepar: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "hepar")
}
