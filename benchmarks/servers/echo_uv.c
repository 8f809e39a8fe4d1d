/* echo_uv.c — with libuv, as in its guide; the buffer belongs to the connection. */
#define _GNU_SOURCE
#include <uv.h>

#include "server.h"

struct connection {
  uv_tcp_t socket;
  uv_write_t write;
  char buffer[BUFFER_SIZE];
};

static void check(int result, const char* what) {
  if (result < 0) give_up(what, -result);
}

static void closed(uv_handle_t* handle) { free(handle->data); }

static void lend_buffer(uv_handle_t* handle, size_t suggested, uv_buf_t* buffer) {
  (void)suggested;
  struct connection* connection = handle->data;
  *buffer = uv_buf_init(connection->buffer, BUFFER_SIZE);
}

static void received(uv_stream_t* stream, ssize_t got, const uv_buf_t* buffer);

static void end_connection(struct connection* connection, int error) {
  if (error != UV_EOF && !peer_has_gone(-error)) give_up("a connection", -error);
  if (!uv_is_closing((uv_handle_t*)&connection->socket)) uv_close((uv_handle_t*)&connection->socket, closed);
}

/* The buffer is free again. */
static void sent(uv_write_t* write, int status) {
  struct connection* connection = write->data;
  if (status == UV_ECANCELED) return;
  if (status < 0) {
    end_connection(connection, status);
  } else {
    check(uv_read_start((uv_stream_t*)&connection->socket, lend_buffer, received), "reading");
  }
}

/* If the data cannot be sent at once, it keeps the buffer until it has been sent. */
static void received(uv_stream_t* stream, ssize_t got, const uv_buf_t* buffer) {
  struct connection* connection = stream->data;
  if (got == 0) return;
  if (got < 0) {
    end_connection(connection, (int)got);
    return;
  }
  uv_buf_t piece = uv_buf_init(buffer->base, (unsigned)got);
  const int written = uv_try_write(stream, &piece, 1);
  if (written == got) return;
  if (written < 0 && written != UV_EAGAIN) {
    end_connection(connection, written);
    return;
  }
  const unsigned done = written < 0 ? 0 : (unsigned)written;
  piece = uv_buf_init(piece.base + done, piece.len - done);
  uv_read_stop(stream);
  connection->write.data = connection;
  check(uv_write(&connection->write, stream, &piece, 1, sent), "writing");
}

static void accepted(uv_stream_t* listener, int status) {
  check(status, "accepting");
  struct connection* connection = malloc(sizeof *connection);
  if (connection == NULL) give_up("a connection", ENOMEM);
  check(uv_tcp_init(listener->loop, &connection->socket), "a socket");
  connection->socket.data = connection;
  check(uv_accept(listener, (uv_stream_t*)&connection->socket), "accepting");
  check(uv_read_start((uv_stream_t*)&connection->socket, lend_buffer, received), "reading");
}

static void input_ended(uv_poll_t* input, int status, int events) {
  (void)status;
  (void)events;
  uv_stop(input->loop);
}

int main(void) {
  uv_loop_t loop;
  uv_tcp_t listener;
  uv_poll_t input;
  check(uv_loop_init(&loop), "a loop");
  check(uv_tcp_init(&loop, &listener), "a socket");
  check(uv_tcp_open(&listener, listen_on_loopback(SOCK_NONBLOCK)), "the listener");
  check(uv_listen((uv_stream_t*)&listener, BACKLOG, accepted), "listening");
  check(uv_poll_init(&loop, &input, STDIN_FILENO), "standard input");
  check(uv_poll_start(&input, UV_READABLE | UV_DISCONNECT, input_ended), "standard input");
  check(uv_run(&loop, UV_RUN_DEFAULT) < 0 ? UV_EIO : 0, "the loop");
  return 0;
}
