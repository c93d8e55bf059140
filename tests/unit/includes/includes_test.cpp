#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "sim/base/file.h"
#include "tests/unit/includes/include_rules.h"

namespace kvcast {
namespace {

using Problems = std::vector<std::string>;

BOOST_AUTO_TEST_SUITE(includes)

BOOST_AUTO_TEST_CASE(every_source_keeps_to_the_table) {
  const std::filesystem::path root = KVCAST_SOURCE_DIR;
  std::size_t files = 0;
  for (const char* folder : {"sim", "hwmodels", "workloads", "reports", "kernels"}) {
    if (!std::filesystem::exists(root / folder)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension().string();
      const bool source =
          extension == ".h" || extension == ".cpp" || extension == ".cu" || extension == ".cuh";
      if (!entry.is_regular_file() || !source) continue;
      const std::string text = read_file(entry.path().string(), std::size_t{1} << 24, ExitCode::bad_data);
      const std::string file = entry.path().lexically_relative(root).generic_string();
      for (const std::string& problem : check_includes(file, text)) BOOST_ERROR(problem);
      ++files;
    }
  }
  BOOST_TEST(files > 20U);
}

BOOST_AUTO_TEST_CASE(forbidden_includes_are_caught) {
  BOOST_TEST(
      check_includes("sim/kv/paged.cpp", "// why\n#include \"sim/sched/batch.h\"\n") ==
      (Problems{
          "sim/kv/paged.cpp:2: sim/kv/ may not include sim/sched/batch.h (allowed: its own, sim/base/)"}));
  const auto forbidden = [](const char* file, const char* include) {
    return check_includes(file, std::string("#include ") + include + "\n").size() == 1;
  };
  BOOST_TEST(forbidden("sim/base/config.h", "\"sim/request.h\""));
  BOOST_TEST(forbidden("sim/step_timer.h", "\"sim/kv/block_allocator.h\""));
  BOOST_TEST(forbidden("sim/sched/fcfs.cpp", "\"sim/cluster/replica.h\""));
  BOOST_TEST(forbidden("sim/cluster/replica.cpp", "\"hwmodels/roofline_timer.h\""));
  BOOST_TEST(forbidden("sim/metrics/metrics.cpp", "\"sim/sched/sequence.h\""));
  BOOST_TEST(forbidden("sim/plan/search.cpp", "\"reports/report.h\""));
  BOOST_TEST(forbidden("hwmodels/roofline.cpp", "\"sim/request_source.h\""));
  BOOST_TEST(forbidden("workloads/azure.cpp", "\"sim/metrics/metrics.h\""));
  BOOST_TEST(forbidden("reports/html.cpp", "\"sim/cluster/cluster.h\""));
  BOOST_TEST(forbidden("reports/html.cpp", "\"html.h\""));  // paths start at the root
  BOOST_TEST(forbidden("elsewhere/x.cpp", "\"sim/base/units.h\""));
  BOOST_TEST(forbidden("sim/base/config.cpp", "<yaml-cpp/yaml.h>"));
  BOOST_TEST(forbidden("sim/app/main.cpp", "<CLI/App.hpp>"));
  BOOST_TEST(forbidden("reports/report.h", "<nlohmann/json.hpp>"));
  BOOST_TEST(forbidden("sim/kv/paged.cpp", "<boost/container/flat_map.hpp>"));
  BOOST_TEST(forbidden("sim/kv/paged.cpp", "<abseil/x.h>"));
}

BOOST_AUTO_TEST_CASE(allowed_includes_are_not) {
  const auto allowed = [](const char* file, const char* include) {
    return check_includes(file, std::string("#include ") + include + "\n").empty();
  };
  BOOST_TEST(allowed("sim/app/compose.cpp", "\"hwmodels/roofline_timer.h\""));
  BOOST_TEST(allowed("sim/app/command_parser.cpp", "<CLI/App.hpp>"));
  BOOST_TEST(allowed("sim/base/yaml_tree.cpp", "<yaml-cpp/parser.h>"));
  BOOST_TEST(allowed("sim/kv/paged.cpp", "\"sim/kv/block_allocator.h\""));
  BOOST_TEST(allowed("sim/cluster/cluster.cpp", "\"sim/request_source.h\""));
  BOOST_TEST(allowed("hwmodels/roofline.cpp", "\"sim/step_timer.h\""));
  BOOST_TEST(allowed("reports/json.cpp", "<nlohmann/json.hpp>"));
  BOOST_TEST(allowed("sim/base/file.cpp", "<sys/stat.h>"));
  BOOST_TEST(allowed("sim/base/file.cpp", "<vector>"));
}

BOOST_AUTO_TEST_CASE(finds_include_lines_only_where_they_are) {
  const std::vector<IncludeLine> lines = include_lines(
      "/* #include \"a.h\"\n"
      "#include \"b.h\" */ // #include \"c.h\"\n"
      "  #  include   <d>  // why\n"
      "const char* text = R\"x(\n"
      "#include \"e.h\"\n"
      ")x\"; int big = 1'000; char c = '\"'; // \"\n"
      "#include \"sim/f.h\"\n"
      "#define INCLUDE \"g.h\"\n"
      "const char* url = \"http://x\";\n"
      "#include <h>");
  BOOST_TEST_REQUIRE(lines.size() == 3U);
  BOOST_TEST(lines[0].line == 3);
  BOOST_TEST(lines[0].path == "d");
  BOOST_TEST(!lines[0].quoted);
  BOOST_TEST(lines[1].line == 7);
  BOOST_TEST(lines[1].path == "sim/f.h");
  BOOST_TEST(lines[1].quoted);
  BOOST_TEST(lines[2].line == 10);
  BOOST_TEST(lines[2].path == "h");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
