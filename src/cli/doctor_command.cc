#include "cli/checks.h"
#include "cli/commands.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

constexpr std::string_view kHealthNames[] = {"ok", "weaker", "broken"};

void print_checks(const std::vector<Check>& checks) {
  for (const Check& check : checks) {
    fmt::print("{:<7} {:<17} {}\n", kHealthNames[static_cast<size_t>(check.health)], check.name, check.found);
    if (!check.without.empty()) fmt::print("        without it: {}\n", check.without);
    if (!check.remedy.empty()) fmt::print("        to fix it:  {}\n", check.remedy);
  }
}

Result<int> run(CliContext& context, const std::string& libraries) {
  std::vector<Check> checks = check_kernel();  // first: it forks, and the server's check starts a thread
  for (auto more : {check_programs(libraries), check_machine(context.data_dir), check_server(context)}) checks.insert(checks.end(), more.begin(), more.end());
  auto count = [&](Health health) { return std::count_if(checks.begin(), checks.end(), [&](const Check& check) { return check.health == health; }); };
  auto broken = count(Health::broken), weaker = count(Health::weaker);
  if (context.json) {
    json::array list;
    for (const Check& check : checks)
      list.push_back({{"name", check.name}, {"health", kHealthNames[static_cast<size_t>(check.health)]}, {"found", check.found},
                      {"without", check.without}, {"remedy", check.remedy}});
    context.print_json(json::object{{"checks", std::move(list)}, {"broken", broken}, {"weaker", weaker}});
  } else {
    print_checks(checks);
    fmt::print("\n{} checks: {} broken, {} weaker\n", checks.size(), broken, weaker);
  }
  return broken == 0 ? 0 : static_cast<int>(Kind::local);
}

}  // namespace

void add_doctor_command(CLI::App& app, CliContext& context) {
  auto libraries = std::make_shared<std::string>();
  CLI::App* doctor = app.add_subcommand("doctor", "Check this machine: what works, what is weaker without something, how to fix it");
  doctor->add_option("--libraries", *libraries, "Folder of Python libraries to check; default: the system's");
  doctor->footer("Example:\n  mayfly doctor --libraries build/deps/python\nExit code 5: something Mayfly needs is broken.");
  doctor->callback([&context, libraries] { context.finish(run(context, *libraries)); });
}

}  // namespace mayfly::cli
