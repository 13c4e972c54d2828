#include <filesystem>

#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/object_path.h"
#include "cli/table.h"
#include "cli/transfer.h"

namespace mayfly::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string from, to, target;
  bool recursive = false;
  bool force = false;
};

// "a/b" below "x/" as "x/b" when the destination is a folder, else the destination itself.
std::string inside(const std::string& folder, const std::string& name) {
  return folder.empty() || folder.ends_with('/') ? folder + name : folder;
}

std::string folder_key(std::string key) { return key.empty() || key.ends_with('/') ? key : key + "/"; }

void say(const CliContext& context, const std::string& line) {
  if (!context.json) fmt::print("{}\n", line);
}

Result<size_t> upload_folder(CliContext& context, ApiClient& client, const std::string& folder, const ObjectPath& to, Progress& progress) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error))
    if (entry.is_regular_file()) files.push_back(entry.path());
  if (error) return fail(Kind::local, fmt::format("cannot read {}: {}", folder, error.message()));
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    std::string key = folder_key(to.key) + file.lexically_relative(folder).generic_string();
    MAYFLY_TRY_VOID(upload(client, file.string(), to.bucket, key, progress));
    progress.clear();
    say(context, fmt::format("{} -> mayfly://{}/{}", file.string(), to.bucket, key));
  }
  return files.size();
}

// A key is a name somebody else chose: it may not lead out of the folder it is written to.
bool stays_inside(const std::string& relative) {
  fs::path path(relative);
  return !relative.empty() && !path.is_absolute() && std::none_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
}

Result<size_t> download_prefix(CliContext& context, ApiClient& client, const ObjectPath& from, const std::string& folder, Progress& progress) {
  MAYFLY_TRY(auto entries, list_objects(client, from.bucket, from.key, ""));
  size_t base = from.key.rfind('/') == std::string::npos ? 0 : from.key.rfind('/') + 1;
  size_t count = 0;
  for (const ObjectEntry& entry : entries) {
    std::string relative = entry.key.substr(base);
    if (relative.empty() || relative.ends_with('/')) continue;  // a folder's marker
    if (!stays_inside(relative)) return fail(Kind::local, "the key \"" + entry.key + "\" would be written outside " + folder);
    fs::path file = fs::path(folder) / relative;
    std::error_code error;
    fs::create_directories(file.parent_path(), error);
    MAYFLY_TRY_VOID(download(client, from.bucket, entry.key, file.string(), progress));
    progress.clear();
    say(context, fmt::format("mayfly://{}/{} -> {}", from.bucket, entry.key, file.string()));
    ++count;
  }
  return count;
}

Result<void> copy_remote(ApiClient& client, const ObjectPath& from, const std::string& bucket, const std::string& key) {
  ObjectCall call{.method = "PUT", .bucket = bucket, .key = key};
  call.headers.set("x-oss-copy-source", "/" + from.bucket + "/" + percent_encode(from.key, Slash::keep));
  MAYFLY_TRY(Reply reply, client.object(std::move(call)));
  return {};
}

Result<size_t> copy(CliContext& context, ApiClient& client, const Options& options, const ObjectPath& from, const ObjectPath& to) {
  Progress progress(is_terminal(2) && !context.json);
  if (!from.remote && !to.remote) return fail(Kind::usage, "one side should be an object", "write mayfly://bucket/key");
  if (options.recursive && from.remote && to.remote) return fail(Kind::usage, "-r copies between this machine and a bucket only");
  if (options.recursive && to.remote) return upload_folder(context, client, from.path, to, progress);
  if (options.recursive) return download_prefix(context, client, from, to.path, progress);
  if (to.remote) {
    std::string key = inside(to.key, from.remote ? from.key.substr(from.key.rfind('/') + 1) : fs::path(from.path).filename().string());
    if (from.remote) {
      MAYFLY_TRY_VOID(copy_remote(client, from, to.bucket, key));
    } else {
      MAYFLY_TRY_VOID(upload(client, from.path, to.bucket, key, progress));
    }
    progress.clear();
    say(context, fmt::format("{} -> mayfly://{}/{}", options.from, to.bucket, key));
    return 1;
  }
  if (from.key.empty()) return fail(Kind::usage, options.from + " names a bucket, not an object", "copy everything in it with -r");
  std::string name = from.key.substr(from.key.rfind('/') + 1);
  std::string file = fs::is_directory(to.path) ? (fs::path(to.path) / name).string() : inside(to.path, name);
  MAYFLY_TRY_VOID(download(client, from.bucket, from.key, file, progress));
  progress.clear();
  say(context, fmt::format("{} -> {}", options.from, file));
  return 1;
}

Result<int> run_copy(CliContext& context, const Options& options) {
  MAYFLY_TRY(ObjectPath from, parse_object_path(options.from));
  MAYFLY_TRY(ObjectPath to, parse_object_path(options.to));
  MAYFLY_TRY(ApiClient * client, context.client());
  MAYFLY_TRY(size_t count, copy(context, *client, options, from, to));
  if (context.json) context.print_json(json::object{{"copied", count}});
  return 0;
}

Result<int> run_list(CliContext& context, const Options& options) {
  MAYFLY_TRY(ObjectPath path, parse_remote_path(options.target, Needs::bucket));
  MAYFLY_TRY(ApiClient * client, context.client());
  MAYFLY_TRY(auto entries, list_objects(*client, path.bucket, path.key, options.recursive ? "" : "/"));
  if (context.json) {
    json::array list;
    for (const ObjectEntry& entry : entries)
      list.push_back({{"key", entry.key}, {"size", entry.size}, {"modified", entry.modified}, {"prefix", entry.is_prefix}});
    context.print_json(json::object{{"objects", std::move(list)}});
    return 0;
  }
  Table table({"key", "size", "modified"});
  for (const ObjectEntry& entry : entries) table.add({entry.key, entry.is_prefix ? "-" : size_text(entry.size), entry.modified});
  fmt::print("{}", table.empty() ? "no objects\n" : table.text());
  return 0;
}

Result<size_t> remove_all(CliContext& context, ApiClient& client, const ObjectPath& path) {
  MAYFLY_TRY(auto entries, list_objects(client, path.bucket, path.key, ""));
  for (const ObjectEntry& entry : entries) {
    MAYFLY_TRY(Reply reply, client.object({.method = "DELETE", .bucket = path.bucket, .key = entry.key}));
    say(context, fmt::format("removed mayfly://{}/{}", path.bucket, entry.key));
  }
  return entries.size();
}

Result<int> run_remove(CliContext& context, const Options& options) {
  MAYFLY_TRY(ObjectPath path, parse_remote_path(options.target, options.recursive ? Needs::bucket : Needs::key));
  MAYFLY_TRY(ApiClient * client, context.client());
  size_t count = 1;
  if (options.recursive) {
    MAYFLY_TRY(count, remove_all(context, *client, path));
  } else {
    MAYFLY_TRY(Reply reply, client->object({.method = "DELETE", .bucket = path.bucket, .key = path.key}));
    say(context, "removed " + options.target);
  }
  if (context.json) context.print_json(json::object{{"removed", count}});
  return 0;
}

Result<int> run_cat(CliContext& context, const Options& options) {
  MAYFLY_TRY(ObjectPath path, parse_remote_path(options.target, Needs::key));
  MAYFLY_TRY(ApiClient * client, context.client());
  Progress silent(false);
  MAYFLY_TRY_VOID(download(*client, path.bucket, path.key, "-", silent));
  return 0;
}

Result<int> run_bucket(CliContext& context, const Options& options, const std::string& method) {
  MAYFLY_TRY(ObjectPath path, parse_remote_path(options.target.find("://") == std::string::npos ? "mayfly://" + options.target : options.target, Needs::bucket));
  MAYFLY_TRY(ApiClient * client, context.client());
  if (method == "DELETE" && options.force) {
    MAYFLY_TRY(size_t removed, remove_all(context, *client, {.remote = true, .bucket = path.bucket, .key = {}, .path = {}}));
    (void)removed;
  }
  MAYFLY_TRY(Reply reply, client->object({.method = method, .bucket = path.bucket}));
  if (context.json) context.print_json(json::object{{"bucket", path.bucket}});
  else fmt::print("{} bucket {}\n", method == "PUT" ? "made" : "removed", path.bucket);
  return 0;
}

}  // namespace

void add_object_commands(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<Options>();
  CLI::App* object = app.add_subcommand("object", "Buckets and the objects in them")->require_subcommand(1);
  object->footer("Example:\n  mayfly object mb mayfly://photos && mayfly object cp -r ~/Pictures mayfly://photos/");

  CLI::App* copy = object->add_subcommand("cp", "Copy between files and objects");
  copy->add_option("from", options->from)->required();
  copy->add_option("to", options->to)->required();
  copy->add_flag("-r,--recursive", options->recursive, "A whole folder, or everything under a prefix");
  copy->footer("Examples:\n  mayfly object cp cat.jpg mayfly://photos/\n  mayfly object cp -r mayfly://photos/face-detection/ ./faces");
  copy->callback([&context, options] { context.finish(run_copy(context, *options)); });

  CLI::App* list = object->add_subcommand("ls", "List objects");
  list->add_option("path", options->target, "mayfly://bucket/prefix")->required();
  list->add_flag("-r,--recursive", options->recursive, "Below sub-folders too");
  list->footer("Example:\n  mayfly object ls mayfly://photos/");
  list->callback([&context, options] { context.finish(run_list(context, *options)); });

  CLI::App* remove = object->add_subcommand("rm", "Remove objects");
  remove->add_option("path", options->target, "mayfly://bucket/key")->required();
  remove->add_flag("-r,--recursive", options->recursive, "Everything under the prefix");
  remove->footer("Example:\n  mayfly object rm -r mayfly://photos/old/");
  remove->callback([&context, options] { context.finish(run_remove(context, *options)); });

  CLI::App* cat = object->add_subcommand("cat", "Print an object");
  cat->add_option("path", options->target, "mayfly://bucket/key")->required();
  cat->footer("Example:\n  mayfly object cat mayfly://photos/notes.txt");
  cat->callback([&context, options] { context.finish(run_cat(context, *options)); });

  CLI::App* make = object->add_subcommand("mb", "Make a bucket");
  make->add_option("bucket", options->target, "mayfly://bucket")->required();
  make->footer("Example:\n  mayfly object mb mayfly://photos");
  make->callback([&context, options] { context.finish(run_bucket(context, *options, "PUT")); });

  CLI::App* drop = object->add_subcommand("rb", "Remove an empty bucket");
  drop->add_option("bucket", options->target, "mayfly://bucket")->required();
  drop->add_flag("--force", options->force, "Remove its objects first");
  drop->footer("Example:\n  mayfly object rb --force mayfly://photos");
  drop->callback([&context, options] { context.finish(run_bucket(context, *options, "DELETE")); });
}

}  // namespace mayfly::cli
