#include <pugixml.hpp>

#include "cli/cloud_process.h"
#include "cli/commands.h"
#include "cli/forwarder.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

constexpr const char* kOwnAddress = "127.0.0.1";       // in a network of its own everything is free
constexpr const char* kSharedAddress = "127.109.97.121";  // in the machine's: a loopback address that nothing else uses

struct Options {
  std::vector<std::string> command;
  bool keep_network = false;
};

Result<Destination> destination_of(const std::string& endpoint) {
  std::string rest = endpoint.substr(endpoint.find("://") == std::string::npos ? 0 : endpoint.find("://") + 3);
  size_t colon = rest.rfind(':');
  unsigned long port = colon == std::string::npos ? 0 : std::strtoul(rest.c_str() + colon + 1, nullptr, 10);
  if (port == 0 || port > 65535) return fail(Kind::usage, "cannot read the endpoint \"" + endpoint + "\"");
  return Destination{rest.substr(0, colon), static_cast<uint16_t>(port)};
}

Result<std::vector<std::string>> bucket_names(ApiClient& client) {
  MAYFLY_TRY(Reply reply, client.object({.query = {{"max-keys", "1000"}}}));
  pugi::xml_document xml;
  xml.load_buffer(reply.body.data(), reply.body.size());
  std::vector<std::string> names;
  for (const auto& bucket : xml.child("ListAllMyBucketsResult").child("Buckets").children("Bucket")) names.emplace_back(bucket.child_value("Name"));
  return names;
}

struct TemporaryFolder {
  TemporaryFolder() {
    std::string pattern = environment_or("TMPDIR", "/tmp") + "/mayfly-cloud-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw sys::Fault("mkdtemp", pattern, errno);
    path = pattern;
  }
  ~TemporaryFolder() { sys::remove_tree(path); }
  std::string path;
};

Result<int> run_tool(const CliContext& context, const Options& options, const Settings& settings, const std::vector<std::string>& buckets) {
  if (settings.tls_endpoint.empty())
    return fail(Kind::usage, "there is no running server's server.json in " + context.data_dir, "name the folder of a running server on this machine with --data-dir");
  auto authority = sys::read_file_if_exists(context.data_dir + "/ca/authority.crt");
  if (!authority) return fail(Kind::usage, "there is no certificate authority in " + context.data_dir + "/ca", "it is made when the server starts");
  MAYFLY_TRY(Destination plain, destination_of(settings.endpoint));
  MAYFLY_TRY(Destination tls, destination_of(settings.tls_endpoint));
  Network network = options.keep_network ? Network::shared : Network::own;
  // A network of its own also gets the server's own ports, so that the endpoint is the same inside and outside.
  std::vector<std::pair<uint16_t, Destination>> ports{{80, plain}, {443, tls}};
  if (network == Network::own) ports.insert(ports.end(), {{plain.port, plain}, {tls.port, tls}});
  std::vector<uint16_t> numbers;
  for (const auto& [port, destination] : ports) numbers.push_back(port);

  TemporaryFolder folder;
  std::string fc_endpoint = network == Network::own ? fmt::format("http://{}:{}", kOwnAddress, plain.port) : settings.endpoint;
  CloudView view = make_cloud_view(folder.path, network == Network::own ? kOwnAddress : kSharedAddress, settings, *authority, fc_endpoint, buckets);
  MAYFLY_TRY(CloudProcess process, CloudProcess::start(view, network, numbers));
  Forwarder forwarder;
  std::vector<sys::Fd> listeners = process.take_listeners();
  for (size_t i = 0; i < listeners.size(); ++i) forwarder.add(std::move(listeners[i]), ports[i].second);
  forwarder.start();
  MAYFLY_TRY_VOID(process.go(options.command));
  return process.wait();
}

Result<int> run(CliContext& context, const Options& options) {
  MAYFLY_TRY(Settings settings, context.settings());
  std::vector<std::string> buckets;
  {
    // A client of its own, gone with its thread before the process forks.
    MAYFLY_TRY(auto transport, make_transport(settings.endpoint));
    SystemClock clock;
    SystemRng rng;
    ApiClient client(*transport, settings.keys, settings.region, clock, rng);
    MAYFLY_TRY(buckets, bucket_names(client));
  }
  try {
    return run_tool(context, options, settings, buckets);
  } catch (const sys::Fault& fault) {
    return fail(Kind::local, fault.what());
  }
}

}  // namespace

void add_cloud_command(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<Options>();
  CLI::App* cloud = app.add_subcommand("cloud", "Run a vendor's command-line tool so that the vendor's cloud is this server");
  cloud->add_flag("--keep-network", options->keep_network, "Let the tool use the machine's network too (needs root)");
  cloud->add_option("command", options->command, "The tool and its arguments, after --")->required();
  cloud->footer(
      "Examples:\n  mayfly cloud -- fun deploy -y\n  mayfly cloud -- aliyun fnf ListFlows\n"
      "The tool sees the vendor's host names here (those of buckets as they are now), trusts this server's\n"
      "certificate, finds keys and configuration in its environment and home folder, and has no other network.\n"
      "The exit code is the tool's.");
  cloud->callback([&context, options] { context.finish(run(context, *options)); });
}

}  // namespace mayfly::cli
