// shim.h: what Swift cannot say to libmicrohttpd itself, because it is variadic or lives in the memory of a head.
#pragma once
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>

// What a daemon is started with. Every callback gets `context` as its first argument.
struct cmhd_start {
    unsigned int connection_limit;
    unsigned int idle_timeout_seconds;
    size_t connection_memory; // bytes a connection may use for its head and its buffers
    void *context;
    MHD_AccessHandlerCallback answer;
    MHD_RequestCompletedCallback completed;
    MHD_NotifyConnectionCallback connection;
    void *(*target)(void *context, const char *uri, struct MHD_Connection *connection);
    void (*log)(void *context, const char *format, va_list arguments);
};

// Starts a daemon with an epoll thread of its own that serves the sockets given by MHD_add_connection, or returns NULL
// with errno set.
static inline struct MHD_Daemon *cmhd_start_daemon(const struct cmhd_start *start) {
    const unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME
        | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, start->answer, start->context, MHD_OPTION_EXTERNAL_LOGGER, start->log,
        start->context, // first: it hears about the other options
        MHD_OPTION_CONNECTION_LIMIT, start->connection_limit, MHD_OPTION_CONNECTION_TIMEOUT,
        start->idle_timeout_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, start->connection_memory,
        MHD_OPTION_URI_LOG_CALLBACK, start->target, start->context, MHD_OPTION_NOTIFY_COMPLETED, start->completed,
        start->context, MHD_OPTION_NOTIFY_CONNECTION, start->connection, start->context, MHD_OPTION_END
    );
}

static inline int cmhd_socket(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info == NULL ? -1 : info->connect_fd;
}

static inline const struct sockaddr *cmhd_peer(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info == NULL ? NULL : info->client_addr;
}

// What the connection callback stored for this socket.
static inline void *cmhd_socket_context(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

// The status of the queued response, 0 without one.
static inline unsigned int cmhd_status(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_HTTP_STATUS);
    return info == NULL ? 0 : info->http_status;
}

// Bytes of the head, from its method to the empty line at its end.
static inline size_t cmhd_head_size(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info == NULL ? 0 : info->header_size;
}

struct cmhd_head_walk {
    const char *next; // where the next header line must begin
    int plain;
};

static inline enum MHD_Result cmhd_walk_line(
    void *cls, enum MHD_ValueKind kind, const char *name, size_t name_size, const char *value, size_t value_size
) {
    struct cmhd_head_walk *walk = (struct cmhd_head_walk *)cls;
    (void)kind;
    walk->plain = name == walk->next && value > name + name_size;
    for (const char *c = name + name_size + 1; walk->plain && c < value; c++) walk->plain = *c == ' ' || *c == '\t';
    walk->next = value + value_size + 2;
    return walk->plain ? MHD_YES : MHD_NO;
}

// Whether the head of a request is made of lines that end in CR LF, hold no zero byte and are not folded.
//
// libmicrohttpd 0.9.75 is lenient here and does not tell: it takes a bare LF for the end of a line, cuts values at a
// zero byte, and glues a folded line onto the *name* of its header, so that "Transfer: chunked", folded with
// "-Encoding", becomes a Transfer-Encoding that no proxy in front has seen. But it parses the head where it lies,
// putting zeros over the delimiters: in a plain head each name lies two bytes after the value before it, and each
// value lies after its own name. Later versions judge this themselves and lay the head out otherwise.
//
//   target_size   bytes of the request target as it came, before libmicrohttpd decoded it in place
static inline int cmhd_head_is_plain(
    struct MHD_Connection *connection, const char *method, const char *url, size_t target_size, const char *version
) {
#if MHD_VERSION <= 0x00097500
    struct cmhd_head_walk walk = {version + 8 + 2, 1}; // "HTTP/1.1" and CR LF
    if (method + strlen(method) + 1 != url || url + target_size + 1 != version || strlen(version) != 8) return 0;
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, cmhd_walk_line, &walk);
    return walk.plain && method + cmhd_head_size(connection) == walk.next + 2; // the empty line ends it
#else
    (void)connection, (void)method, (void)url, (void)target_size, (void)version;
    return 1;
#endif
}
