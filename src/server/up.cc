#include "server/up.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include <memory>

#include "base/clock.h"
#include "server/server.h"
#include "sys/process.h"

namespace mayfly::server {
namespace {

constexpr int64_t kGraceUs = 20 * kMicrosPerSecond;  // for calls in progress; a second signal ends at once

void print_welcome(const Server& server, const ServerOptions& options) {
  fmt::print("Mayfly {} answers at {} (TLS {}), ready in {} ms\n", MAYFLY_VERSION, server.endpoint(), server.tls_endpoint(), server.start_us() / kMicrosPerMilli);
  fmt::print("data {}  account {}  region {}\n", options.data_folder, server.node().account(), options.region);
  if (server.node().keys_are_new()) {
    fmt::print("\nYour access key, shown this once (kept in {}/keys.json):\n  id      {}\n  secret  {}\n\n", options.data_folder, server.node().access_key_id(),
               server.node().access_key_secret());
  }
  if (options.unsafe_no_sandbox) fmt::print("WARNING: functions run WITHOUT a sandbox (--unsafe-no-sandbox): only run code you trust\n");
  fmt::print("Press Ctrl-C to stop.\n");
  std::fflush(stdout);
}

int run(ServerOptions options, const std::string& data_folder) {
  options.data_folder = data_folder;
  // Threads inherit the mask: signals arrive at sigwait below and nowhere else.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  sys::raise_open_files();  // each instance takes some
  ::umask(022);  // unpacked code must be readable inside sandboxes; what is secret is written with its own mode
  auto server = Server::start(options);
  print_welcome(*server, options);
  int received = 0;
  sigwait(&signals, &received);
  fmt::print("stopping ({}); again to stop at once\n", strsignal(received));
  std::fflush(stdout);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  for (int each : {SIGINT, SIGTERM}) signal(each, SIG_DFL);
  server->stop(kGraceUs);
  return 0;
}

}  // namespace

void add_up_command(CLI::App& app, const std::string& data_folder, int& exit_code) {
  auto options = std::make_shared<ServerOptions>();
  CLI::App* up = app.add_subcommand("up", "Run the server in the foreground");
  up->add_option("--host", options->host, "Address to listen on")->capture_default_str();
  up->add_option("--port", options->port, "Port for every API; 0 takes a free one")->capture_default_str();
  up->add_option("--tls-port", options->tls_port, "Port for the same over TLS with the local CA; 0 takes a free one")->capture_default_str();
  up->add_option("--shards", options->shards, "Threads; 0 is one per core")->capture_default_str();
  up->add_option("--region", options->region, "Region name in ARNs and host names")->capture_default_str();
  up->add_option("--libraries", options->libraries_folder, "Folder of Python libraries every function may import; default: beside the runtimes, or where ./dev setup puts them");
  up->add_option("--runtimes", options->runtimes_folder, "Folder of the language runtimes; default: beside the binary or in the source tree");
  up->add_option("--max-instances", options->max_instances, "Most instances of one function at a time; 0: twice the cores and two");
  up->add_option("--keep-alive", options->keep_alive_s, "Seconds an idle instance is kept")->capture_default_str();
  up->add_flag("--unsafe-no-sandbox", options->unsafe_no_sandbox, "Run functions without isolation, on kernels that lack namespaces");
  up->footer("Example:\n  mayfly up --port 9000 --data-dir ~/.mayfly");
  up->callback([options, &data_folder, &exit_code] { exit_code = run(*options, data_folder); });
}

}  // namespace mayfly::server
