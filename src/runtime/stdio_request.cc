#include "runtime/stdio_request.h"

#include <cctype>
#include <charconv>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/json.h"
#include "runtime/command.h"

namespace mayfly::runtime {
namespace {

using Environment = std::map<std::string, std::string>;

std::string get(const Environment& environment, const char* name, const char* other = nullptr) {
  auto found = environment.find(name);
  if (found == environment.end() && other) found = environment.find(other);
  return found == environment.end() ? std::string() : found->second;
}

bool flag(const Environment& environment, const char* name, bool fallback) {
  std::string text = lower(get(environment, name));
  if (text.empty()) return fallback;
  return text == "true" || text == "1" || text == "yes";
}

// Go's canonical spelling: "x-custom-ID" -> "X-Custom-Id".
std::string canonical(std::string_view name) {
  std::string out(name);
  bool first = true;
  for (char& c : out) {
    c = static_cast<char>(first ? std::toupper(static_cast<unsigned char>(c)) : std::tolower(static_cast<unsigned char>(c)));
    first = c == '-';
  }
  return out;
}

}  // namespace

int64_t go_duration_us(std::string_view text, int64_t fallback_us) {
  struct Unit {
    std::string_view name;
    double us;
  };
  constexpr Unit kUnits[] = {{"ns", 0.001}, {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}};
  if (text.empty()) return fallback_us;
  double sum_us = 0;
  bool plain = true;
  while (!text.empty()) {
    double number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return fallback_us;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (text.empty() && plain) return static_cast<int64_t>(number * 1e6);
    plain = false;
    const Unit* unit = nullptr;
    for (const Unit& each : kUnits)  // "ms" before "m"
      if (text.starts_with(each.name) && (!unit || each.name.size() > unit->name.size())) unit = &each;
    if (!unit) return fallback_us;
    text.remove_prefix(unit->name.size());
    sum_us += number * unit->us;
  }
  return static_cast<int64_t>(sum_us);
}

StdioSettings stdio_settings(const Environment& environment, bool classic) {
  StdioSettings settings;
  std::string mode = get(environment, "mode");
  if (!classic) settings.mode = mode == "serializing" ? StdioMode::serializing : StdioMode::streaming;
  settings.command = split_at_spaces(get(environment, "fprocess", "function_process"));
  settings.exec_timeout_us = go_duration_us(get(environment, "exec_timeout"), 0);
  settings.max_inflight = go_duration_us(get(environment, "max_inflight"), 0) / kMicrosPerSecond;  // a whole number
  settings.combine_output = flag(environment, "combine_output", true);
  settings.cgi_headers = flag(environment, "cgi_headers", true);
  settings.marshal_request = classic && flag(environment, "marshal_request", false);
  settings.prefix_logs = flag(environment, "prefix_logs", true);
  settings.content_type = get(environment, "content_type");
  return settings;
}

StdioRequest stdio_request(std::string_view http) {
  StdioRequest request;
  auto parsed = http.empty() ? Expected<json::value, JsonError>(json::value()) : parse_json(http);
  if (!parsed || !parsed->is_object()) return request;
  request.method = string_or(*parsed, "method", "POST");
  request.path = string_or(*parsed, "path", "/");
  request.host = string_or(*parsed, "host");
  std::string uri = string_or(*parsed, "requestURI");
  if (size_t question = uri.find('?'); question != uri.npos) request.query = uri.substr(question + 1);
  const json::value* headers = find(*parsed, "headers");
  if (!headers || !headers->is_object()) return request;
  for (const auto& field : headers->get_object())
    if (const json::array* values = field.value().if_array())
      for (const auto& value : *values)
        if (value.is_string()) request.headers.add(std::string(field.key()), std::string(view(value.get_string())));
  return request;
}

std::vector<std::string> request_environment(const StdioRequest& request, size_t body_bytes, const StdioSettings& settings) {
  std::vector<std::string> out;
  if (!settings.cgi_headers) return out;
  std::map<std::string, std::string> fields;
  for (const auto& [name, value] : request.headers) {
    std::string spelled = canonical(name);
    if (spelled == "Host" || value.find('\0') != value.npos) continue;
    for (char& c : spelled)
      if (c == '-') c = '_';
    fields.emplace("Http_" + spelled, value);  // the first value only
  }
  fields["Http_Method"] = request.method;
  fields["Http_Path"] = request.path;
  if (!request.query.empty()) fields["Http_Query"] = request.query;
  if (settings.mode == StdioMode::classic) {
    bool chunked = request.headers.has("Transfer-Encoding");
    fields["Http_ContentLength"] = fields["Http_Content_Length"] = chunked ? "-1" : std::to_string(body_bytes);
    if (!request.host.empty()) fields["Http_Host"] = request.host;
  }
  for (const auto& [name, value] : fields) out.push_back(name + "=" + value);
  return out;
}

std::string marshalled(const StdioRequest& request, std::string_view body) {
  json::object header;
  for (const auto& [name, value] : request.headers) {
    auto [at, added] = header.emplace(canonical(name), json::array());
    at->value().get_array().emplace_back(value);
  }
  return to_text(json::object{{"header", std::move(header)}, {"body", {{"raw", base64_encode(body)}}}});
}

}  // namespace mayfly::runtime
