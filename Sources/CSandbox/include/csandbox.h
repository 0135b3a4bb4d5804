// csandbox.h: children that read files from outside. In C, as glibc shows Swift neither pipe2 nor closefrom, and the
// kernel's filters are macros.
#pragma once
#include <sys/types.h>

// Starts a program without a shell, in a process group of its own, with every signal as by default, `input` as its
// standard input (from where the descriptor stands), an empty standard error and no other descriptor. What it writes to
// its standard output is read from `output`; `turns`, if it is not -1, is its descriptor cs_turns. Its PID, or -1.
pid_t cs_spawn(const char *path, char *const arguments[], char *const environment[], int input, int turns, int *output);
enum { cs_turns = 3 };

// Two sockets joined to each other, which no program that is started has. 0, or -1.
int cs_pair(int ends[2]);

// A descriptor of memory that holds these bytes, to be read from its start; -1 where the system refuses.
int cs_bytes(const void *bytes, size_t count);

// Has the kernel end the running process when the thread that started it ends. 0, or -1.
int cs_end_with_parent(void);

// The kernel's version of Landlock; 0 without.
int cs_landlock_version(void);

// Whether the kernel has system call filters.
int cs_has_seccomp(void);

// Takes from the running process, for good, every file but those below `readable` and `writable` (lists that end with
// NULL; what is not there is passed over) and, where the kernel's Landlock is new enough, TCP, and signals to others.
// The process must have one thread. 0, or -1; 0 too where the kernel has no Landlock.
int cs_confine_files(const char *const readable[], const char *const writable[]);

// Takes from the running process, for good, every system call but those that computing and the use of files need:
// there are no sockets, no programs to start, no other processes to look into or to signal, no namespaces, no new
// executable memory, no locks, and no change of a file's rights, owner or times, nor of its length but by who opened it
// for writing.
// Others fail with EPERM. 0, or -1; 0 too where the kernel has no filters.
int cs_confine_calls(void);
