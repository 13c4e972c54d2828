// Two functions in one program: `greet` answers events, `page` answers HTTP requests.
#include <mayfly/function.h>

namespace {

mayfly::Reply greet(mayfly::Event event, mayfly::Context& context) {
  mayfly::Json json = event.json();
  if (!json["name"].is_text()) throw mayfly::Error("NoName", "the event has no \"name\"");
  context.log.info("greeting ", json["name"].text());
  return mayfly::Json{{"greeting", "Hello, " + std::string(json["name"].text()) + "!"}};
}

// GET /page?lines=3 comes line by line, as it is made.
mayfly::Reply page(const mayfly::Request& request) {
  if (request.path() != "/") return mayfly::Reply("nothing is here\n").status(404);
  int lines = std::atoi(std::string(request.query("lines", "1")).c_str());
  return mayfly::Reply::stream([lines](mayfly::Writer& out) {
    for (int line = 1; line <= lines; ++line) out.write("Hello for the " + std::to_string(line) + ". time\n");
  });
}

}  // namespace

int main() { return mayfly::serve(mayfly::function("greet", greet), mayfly::http("page", page)); }
