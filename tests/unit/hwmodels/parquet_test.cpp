// Parquet files of made-up numbers (tests/fuzz/corpus/parquet, written by pyarrow): every codec, encoding and
// page version gives the same cells; what is not read is refused by name.
#include "hwmodels/parquet.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/error.h"
#include "sim/base/file.h"

namespace kvcast {
namespace {

std::string corpus_file(const std::string& name) {
  return read_file(std::string(KVCAST_SOURCE_DIR) + "/tests/fuzz/corpus/parquet/" + name + ".parquet",
                   std::size_t{1} << 20, ExitCode::bad_data);
}

std::vector<std::string> lines_of(const std::string& name) {
  const ParquetTable table(name, corpus_file(name));
  std::vector<std::string> lines;
  table.each([&](const auto& cells, std::int64_t) {
    std::string line;
    for (const std::string_view cell : cells) line += std::string(cell) + ",";
    lines.push_back(line);
    return true;
  });
  return lines;
}

BOOST_AUTO_TEST_CASE(every_codec_encoding_and_page_version_gives_the_same_cells) {
  for (const char* name : {"none", "snappy", "gzip", "zstd", "lz4", "v2", "delta", "lengths"}) {
    const std::vector<std::string> lines = lines_of(name);
    BOOST_TEST_CONTEXT(name) {
      BOOST_REQUIRE_EQUAL(lines.size(), 12U);
      BOOST_TEST(lines[0] == "-20,4000000000,0,0,kernel_0,true,");
      BOOST_TEST(lines[1] == "-19,4000000001,0.1,0.1,kernel_0,false,");
      BOOST_TEST(lines[3] == ",4000000003,0.30000000000000004,0.3,kernel_1,true,");
      BOOST_TEST(lines[11] == "101,4000000011,1.1,1.1,kernel_3,false,");
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_not_read_is_refused_by_name) {
  const auto says = [](const char* what) {
    return [what](const InputError& error) {
      BOOST_TEST_INFO(error.what());
      return error.code() == ExitCode::bad_data && std::string(error.what()).find(what) != std::string::npos;
    };
  };
  BOOST_CHECK_EXCEPTION(lines_of("brotli"), InputError, says("BROTLI"));
  BOOST_CHECK_EXCEPTION(lines_of("decimal"), InputError, says("DECIMAL"));
  BOOST_CHECK_EXCEPTION(lines_of("list"), InputError, says("nested"));
  const std::string whole = corpus_file("zstd");
  BOOST_CHECK_EXCEPTION(ParquetTable("t", whole.substr(0, whole.size() - 1)), InputError, says("cut off"));
  BOOST_CHECK_EXCEPTION(ParquetTable("t", "m,n,k\n1,2,3\n4,5,6\n"), InputError, says("no Parquet file"));
}

}  // namespace
}  // namespace kvcast
