#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <sstream>

#include "reports/report.h"
#include "sim/base/error.h"
#include "sim/request.h"

using namespace kvcast;

namespace {

/// A file name of its own for each test, removed at the end.
class ScratchFile {
 public:
  explicit ScratchFile(const std::string& name)
      : path_((std::filesystem::temp_directory_path() /
               ("kvcast-" + std::to_string(std::random_device{}()) + "-" + name))
                  .string()) {}
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  ~ScratchFile() { std::filesystem::remove(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::vector<std::string> lines() const {
    std::ifstream file(path_);
    std::vector<std::string> result;
    for (std::string line; std::getline(file, line);) result.push_back(line);
    return result;
  }

 private:
  std::string path_;
};

Instant at_us(double us) { return Instant{Duration{static_cast<std::int64_t>(us * 1000)}}; }

RequestRow row_of(std::uint64_t id) {
  RequestRow row;
  row.id = RequestId{id};
  row.arrival = at_us(1200.125);
  row.scheduled = at_us(1300);
  row.first_token = at_us(2000.5);
  row.last_token = at_us(9000);
  row.input = Tokens{812};
  row.output = Tokens{64};
  row.cached = Tokens{16};
  row.preemptions = 2;
  return row;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(requests)

BOOST_AUTO_TEST_CASE(json_lines_carry_the_request_and_its_outcome) {
  const ScratchFile file("rows.jsonl");
  RequestDetails details;
  details.name = "a\"7\n";
  details.session = "s1";
  details.model = "m";
  details.slo_class = "interactive";
  details.content = {{0xAB, Tokens{600}}, {7, Tokens{212}}};
  RequestRow full = row_of(0);
  full.details = &details;
  full.priority = -1;
  full.output_limit = Tokens{4096};
  full.tenant = 5;
  RequestRow refused = row_of(1);
  refused.outcome = Outcome::rejected_too_long;
  refused.scheduled = refused.first_token = refused.last_token = kNever;
  refused.output = Tokens{0};
  refused.output_asked = Tokens{99};
  const auto writer = make_request_writer(file.path());
  writer->on_request(full);
  writer->on_request(refused);
  writer->close();
  const std::vector<std::string> lines = file.lines();
  BOOST_REQUIRE(lines.size() == 2U);
  using Json = nlohmann::json;
  BOOST_TEST(Json::parse(lines[0]) ==
             Json::parse(R"({"id": "a\"7\n", "arrival_us": 1200.125, "input_tokens": 812, "output_tokens": 64,
    "input": [["#00000000000000ab", 600], ["#0000000000000007", 212]], "priority": -1, "max_tokens": 4096, "tenant": "5", "session": "s1", "model": "m", "slo": "interactive",
    "queued_us": 1200.125, "scheduled_us": 1300, "first_token_us": 2000.5, "last_token_us": 9000,
    "cached_tokens": 16, "preemptions": 2, "outcome": "completed"})"));
  BOOST_TEST(lines[1] ==
             R"({"id": "1", "arrival_us": 1200.125, "input_tokens": 812, "output_tokens": 99, )"
             R"("queued_us": null, "scheduled_us": null, "first_token_us": null, "last_token_us": null, )"
             R"("cached_tokens": 16, "preemptions": 2, "outcome": "rejected_too_long"})");
}

BOOST_AUTO_TEST_CASE(csv_has_a_header_and_quotes_where_it_must) {
  const ScratchFile file("rows.csv");
  RequestDetails details;
  details.name = "a,\"7\"";
  RequestRow row = row_of(0);
  row.details = &details;
  row.last_token = kNever;
  row.outcome = Outcome::unfinished;
  const auto writer = make_request_writer(file.path());
  writer->on_request(row);
  writer->close();
  const std::vector<std::string> lines = file.lines();
  BOOST_REQUIRE(lines.size() == 2U);
  BOOST_TEST(lines[0] ==
             "id,arrival_us,input_tokens,output_tokens,priority,session,model,slo,queued_us,scheduled_us,"
             "first_token_us,last_token_us,cached_tokens,preemptions,outcome");
  BOOST_TEST(lines[1] == "\"a,\"\"7\"\"\",1200.125,812,64,0,,,,1200.125,1300,2000.5,,16,2,unfinished");
}

BOOST_AUTO_TEST_CASE(rows_come_out_by_id_whatever_the_order_of_the_ends) {
  const ScratchFile file("order.csv");
  std::vector<std::uint64_t> ids(5000);
  std::iota(ids.begin(), ids.end(), 0U);
  std::mt19937_64 random(7);
  for (std::size_t begin = 0; begin < ids.size(); begin += 100) {
    std::shuffle(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                 ids.begin() + static_cast<std::ptrdiff_t>(begin + 100), random);
  }
  {
    const auto writer = make_request_writer(file.path());
    for (const std::uint64_t id : ids) writer->on_request(row_of(id));
  }  // the destructor writes what is left
  const std::vector<std::string> lines = file.lines();
  BOOST_REQUIRE(lines.size() == 5001U);
  for (std::size_t i = 0; i < 5000; ++i)
    BOOST_REQUIRE_EQUAL(lines[i + 1].substr(0, lines[i + 1].find(',')), std::to_string(i));
}

BOOST_AUTO_TEST_CASE(rows_behind_a_gap_are_written_at_the_end) {
  const ScratchFile file("gap.csv");
  const auto writer = make_request_writer(file.path());
  writer->on_request(row_of(3));
  writer->on_request(row_of(1));
  writer->close();
  const std::vector<std::string> lines = file.lines();
  BOOST_REQUIRE(lines.size() == 3U);
  BOOST_TEST(lines[1].substr(0, 2) == "1,");
  BOOST_TEST(lines[2].substr(0, 2) == "3,");
}

BOOST_AUTO_TEST_CASE(unwritable_files_are_named) {
  BOOST_CHECK_EXCEPTION(
      static_cast<void>(make_request_writer("/nonexistent-folder/x.csv")), InputError,
      [](const InputError& error) {
        return std::string(error.what()).find("/nonexistent-folder/x.csv: cannot be written") == 0;
      });
  if (!std::filesystem::exists("/dev/full")) return;
  const auto writer = make_request_writer("/dev/full");
  writer->on_request(row_of(0));
  BOOST_CHECK_THROW(writer->close(), InputError);
}

BOOST_AUTO_TEST_SUITE_END()
