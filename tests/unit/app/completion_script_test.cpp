// Completion scripts hold every command and option that was declared.
#include "sim/app/completion_script.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

namespace kvcast {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

CommandTree tree() {
  CommandTree root{"kvcast", "Forecasts", {{"--help", "Help", "", false}}, {}};
  root.children.push_back({"kvcast run",
                           "Run one: it's quick; really",
                           {{"--json", "Write JSON (-: standard output)", "FILE", false},
                            {"--gpu", "A GPU", "GPU", false},
                            {"--quiet", "Nothing", "", false},
                            {"scenario", "A scenario", "FILE", true}},
                           {}});
  root.children.push_back({"kvcast trace", "Traces", {}, {{"kvcast trace stats", "Numbers", {}, {}}}});
  return root;
}

BOOST_AUTO_TEST_SUITE(completion_script)

BOOST_AUTO_TEST_CASE(every_shell_has_all_commands_and_options) {
  for (const std::string& script :
       {bash_completion(tree()), zsh_completion(tree()), fish_completion(tree())}) {
    for (const char* part : {"kvcast run", "kvcast trace stats", "json", "gpu", "quiet", "gpus", "scenarios"})
      BOOST_TEST(contains(script, part), part << " is missing");
  }
}

BOOST_AUTO_TEST_CASE(descriptions_are_short_and_quoted) {
  BOOST_TEST(contains(zsh_completion(tree()), "'--json:Write JSON'"));
  BOOST_TEST(contains(zsh_completion(tree()), "'run:Run one'"));
  BOOST_TEST(contains(fish_completion(tree()), "-l json -r -F -d 'Write JSON'"));
}

BOOST_AUTO_TEST_CASE(values) {
  BOOST_TEST(value_words("kvcast memory", {"--model", "", "MODEL", false}).list == "models");
  BOOST_TEST(value_words("kvcast memory", {"--model", "", "MODEL", false}).files);
  BOOST_TEST(value_words("kvcast simulate", {"--json", "", "FILE", false}).files);
  BOOST_TEST(!value_words("kvcast simulate", {"--seed", "", "N", false}).files);
  BOOST_TEST(value_words("kvcast simulate", {"--progress", "", "MODE", false}).words.size() == 3U);
  BOOST_TEST(value_words("kvcast calibrate import", {"--device", "", "NAME", false}).list == "gpus");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
