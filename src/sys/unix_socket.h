#pragma once
// Unix sockets that carry descriptors and the sender's identity (SCM_RIGHTS, SCM_CREDENTIALS): how the server talks to what it runs
// inside sandboxes. Failures are Faults; the far end being gone is an ordinary answer.

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sys/fd.h"

namespace mayfly::sys {

// Two connected, close-on-exec ends; `type` is SOCK_SEQPACKET or SOCK_STREAM.
std::pair<Fd, Fd> socket_pair(int type);
void set_nonblocking(int fd);
void set_inheritable(int fd);            // cleared close-on-exec
void pass_credentials(int socket);       // from now on each received message says who sent it, in this process's pid namespace

constexpr size_t kMaxPassedFds = 64;     // per message; we never pass more: a sandbox's dozen mounts and what its program gets

struct Message {
  std::string bytes;
  std::vector<Fd> fds;                   // close-on-exec
  std::optional<pid_t> sender;           // with pass_credentials
};

enum class Sent { message, full, closed };
// One message. `full` only on a non-blocking socket: the far end has not taken those before.
Sent try_send_message(int socket, std::string_view bytes, std::span<const int> fds = {});
// The same where the socket blocks, or holds all that is ever sent. False if the far end is gone.
bool send_message(int socket, std::string_view bytes, std::span<const int> fds = {});

enum class Received { message, nothing, closed };
// One message of at most `limit` bytes. Faults that lose the message: a longer one (EMSGSIZE); descriptors for which this process has no
// place (EMFILE), and then it has none of them. `nothing` only on a non-blocking socket.
Received receive_message(int socket, size_t limit, Message& out);

}  // namespace mayfly::sys
