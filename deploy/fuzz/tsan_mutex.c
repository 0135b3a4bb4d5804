// tsan_mutex.c: tells ThreadSanitizer of the locks that it cannot see; preloaded by tsan.sh.
//
// Swift's Mutex takes a free lock by an atomic operation in our own code, which ThreadSanitizer sees. A lock that is
// contended goes through libswiftSynchronization and the kernel's futexes, which it does not: then everything that the
// mutex protects would be reported. These two functions stand in front of the library's, call them, and say what
// they did.
//
//     clang -O1 -fPIC -shared tsan_mutex.c -o libtsan_mutex.so
//
// Names and calling convention are those of Swift 6.3 on Linux: Synchronization._MutexHandle._lockSlow(UInt32) and
// _unlockSlow().
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

// Absent in a process without ThreadSanitizer, such as swift-build.
extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

SWIFT void lock_slow(uint32_t thread, SELF void *handle) __asm__(LOCK);
SWIFT void unlock_slow(SELF void *handle) __asm__(UNLOCK);

SWIFT void lock_slow(uint32_t thread, SELF void *handle) {
    static SWIFT void (*original)(uint32_t, SELF void *);
    if (original == 0) original = dlsym(RTLD_NEXT, LOCK);
    original(thread, handle);
    if (__tsan_acquire) __tsan_acquire(handle);
}

SWIFT void unlock_slow(SELF void *handle) {
    static SWIFT void (*original)(SELF void *);
    if (original == 0) original = dlsym(RTLD_NEXT, UNLOCK);
    if (__tsan_release) __tsan_release(handle);
    original(handle);
}
