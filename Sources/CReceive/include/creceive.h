// creceive.h: shows what is read from chosen sockets to a filter, before the reader sees it.
//
// libmicrohttpd reads by the C library's recv and has no hook there. This library's recv takes the place of that one in
// the whole process, as the dynamic linker prefers a program's own functions; sockets that are not watched are read as
// ever.
#pragma once
#include <stddef.h>
#include <sys/types.h>

// Given `count` bytes just read into a buffer with `room` for more, may change them, their number up to `room`, or say
// that the connection has ended (0). Called on the thread that reads.
typedef size_t (*cr_filter)(void *context, unsigned char *bytes, size_t count, size_t room);

// Has what is read from `socket` go through the filter, with this context; NULL ends that, and must come before the
// socket is closed. One filter is for all. Returns -1 where the number of the socket is too large.
int cr_watch(int socket, void *context, cr_filter filter);
