import Cases

extension WorkerLost {
    /// What a client is answered whose request it was: to try again if that may help.
    var problem: Problem { mayWantMemory ? wantOfMemory : unreadable }

    /// It may do better when it is tried again.
    var wantOfMemory: Problem {
        Problem(
            503, "no_memory",
            """
            The process that worked on the file \(how), as happens where the server is short of memory. Send the request \
            again.
            """, headers: [("Retry-After", "30")])
    }

    /// It is the file's fault.
    var unreadable: Problem {
        Problem(
            422, "unreadable",
            """
            The process that read the file \(how). The file is damaged, or made to do harm, or the server has too little \
            memory: export it again, and if that does not help tell the operator of this server.
            """)
    }
}
