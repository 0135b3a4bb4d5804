import Glibc

/// Wakes threads that wait for something to happen, and counts how often it rang, so that no ring between a look
/// and the wait that follows is missed. Waits by the monotonic clock: setting the wall clock disturbs nothing.
package final class Bell: @unchecked Sendable {
    // `rung` is read and written under `lock` only.
    private var rung = 0
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init() {
        pthread_mutex_init(lock, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(lock)
        condition.deallocate()
        lock.deallocate()
    }

    /// How often it rang.
    package var count: Int {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return rung
    }

    /// Wakes all who wait.
    package func ring() {
        pthread_mutex_lock(lock)
        rung += 1
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(lock)
    }

    /// Waits until it has rung more than `count` times, or `timeout` is over.
    package func wait(past count: Int, timeout: Duration) {
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let (seconds, attoseconds) = max(timeout, .zero).components
        end.tv_sec += Int(clamping: min(seconds, 1_000_000_000))
        end.tv_nsec += Int(attoseconds / 1_000_000_000)
        if end.tv_nsec >= 1_000_000_000 {
            end.tv_sec += 1
            end.tv_nsec -= 1_000_000_000
        }
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while rung <= count {
            if pthread_cond_timedwait(condition, lock, &end) == ETIMEDOUT { return }
        }
    }
}
