#include "local.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>

#include "caller.h"
#include "instance.h"
#include "trace.h"

namespace mayfly::detail {
namespace {

struct Wish {
  std::string function, event, request, body;  // event and body: file names, "-" is standard input
};

class Usage : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

std::string help(const std::vector<Function>& functions, const std::string& program) {
  std::string names;
  for (const Function& function : functions) names += (names.empty() ? "" : ", ") + function.name();
  return "This program holds Mayfly functions: " + names + ". Mayfly starts it by itself; deploy it with `mayfly deploy`.\n" +
         "To call one here:\n" +
         "  " + program + " --event FILE                             an event from FILE, - is standard input\n" +
         "  " + program + " --http 'GET /path?name=value' [--body FILE]  an HTTP request\n" +
         "  --function NAME                            which one, when there are several\n";
}

Wish parse(const std::vector<std::string>& words) {
  Wish wish;
  for (size_t i = 1; i < words.size(); i += 2) {
    std::string* into = words[i] == "--event" ? &wish.event : words[i] == "--http" ? &wish.request : words[i] == "--body" ? &wish.body : words[i] == "--function" ? &wish.function : nullptr;
    if (!into) throw Usage("no option '" + words[i] + "'");
    if (i + 1 == words.size()) throw Usage(words[i] + " needs a value");
    *into = words[i + 1];
  }
  if (wish.event.empty() == wish.request.empty()) throw Usage("either --event or --http is needed");
  return wish;
}

std::string read(const std::string& name) {
  if (name.empty()) return {};
  if (name == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream file(name, std::ios::binary);
  if (!file) throw Usage("cannot read '" + name + "'");
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string decoded(std::string_view text) {
  auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    bool escape = text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0;
    out += escape ? static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2])) : text[i] == '+' ? ' ' : text[i];
    if (escape) i += 2;
  }
  return out;
}

// The head as the platform would write it, of "GET /path?name=value".
std::string head_of(const std::string& request) {
  size_t space = request.find(' ');
  if (space == request.npos) throw Usage("--http wants a method and a path, such as 'GET /'");
  std::string uri = request.substr(space + 1), path = uri.substr(0, uri.find('?'));
  Json queries = Json::object();
  for (size_t at = uri.find('?'); at != uri.npos;) {
    size_t end = uri.find('&', ++at);
    std::string pair = uri.substr(at, end == uri.npos ? end : end - at);
    size_t equals = pair.find('=');
    if (!pair.empty()) queries[decoded(pair.substr(0, equals))].push_back(decoded(equals == pair.npos ? "" : pair.substr(equals + 1)));
    at = end;
  }
  return Json{{"method", request.substr(0, space)}, {"path", decoded(path)}, {"requestURI", uri}, {"clientIP", "127.0.0.1"}, {"host", "localhost"}, {"queries", queries}, {"headers", Json::object()}}.dump();
}

class Print final : public Writer {
 public:
  void write(std::string_view piece) override {
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
  }
};

void show(const Reply& reply, bool http) {
  if (http) {
    std::fprintf(stderr, "HTTP %d\n", reply.status());
    if (!reply.type().empty()) std::fprintf(stderr, "Content-Type: %s\n", reply.type().c_str());
    for (const auto& [name, value] : reply.headers()) std::fprintf(stderr, "%s: %s\n", name.c_str(), value.c_str());
  }
  Print print;
  if (reply.body_stream()) reply.body_stream()(print);
  else print.write(reply.body());
}

void call(const Function& function, const Wish& wish) {
  InstanceAbout about{.id = "local", .region = "local", .account = "local", .function = {function.name(), function.name(), 0, 600}, .service = {.name = "local", .log_project = {}, .log_store = {}, .qualifier = {}, .version_id = {}}, .log_fd = STDERR_FILENO};
  std::string body = read(wish.request.empty() ? wish.event : wish.body), head = wish.request.empty() ? "" : head_of(wish.request);
  Context context(about, "local", {}, 0, std::chrono::steady_clock::now());
  if (function.initializer()) function.initializer()(context);
  show(function.handler()(Request(head, body), context), !head.empty());
  if (function.pre_stop()) function.pre_stop()(context);
}

}  // namespace

int run_locally(const std::vector<Function>& functions, const std::vector<std::string>& words) try {
  if (words.size() == 1 || words[1] == "--help") {
    std::fputs(help(functions, words[0]).c_str(), words.size() == 1 ? stderr : stdout);
    return words.size() == 1 ? 2 : 0;
  }
  Wish wish = parse(words);
  std::string why, program = words[0].substr(words[0].rfind('/') + 1);
  const Function* function = choose(functions, wish.function.empty() ? program : program + "." + wish.function, program, why);
  if (!function) throw Usage(why);
  try {
    watch_throws();
    call(*function, wish);
    return 0;
  } catch (const Usage&) {
    throw;
  } catch (...) {
    std::fprintf(stderr, "%s\n", error_body().c_str());
    return 1;
  }
} catch (const Usage& usage) {
  std::fprintf(stderr, "%s: %s\n%s", words[0].c_str(), usage.what(), help(functions, words[0]).c_str());
  return 2;
}

}  // namespace mayfly::detail
