// Measurement records: what the format says is read, written and read again; what it does not say is refused
// with its place.
#include "hwmodels/measurement_record.h"

#include <boost/test/unit_test.hpp>

#include "sim/base/error.h"

namespace kvcast {
namespace {

namespace tt = boost::test_tools;

const std::string kRecord =
    R"({"record": {"op": "decode_attention", "kernel": "paged", "shape": {"kv_heads": 8, "batch": 64, "heads": 32}, )"
    R"("dtype": "bf16", "sentinel": false, "device": {"name": "h100-sxm", "uuid": "GPU-1", "driver": "580.65"}, )"
    R"("source": "measured", "ns": {"n": 5, "min": 100, "p5": 101.5, "q1": 102, "median": 104, "q3": 106, "p95": 109, "mad": 2}, )"
    R"("cycles": {"n": 5, "median": 180.5, "mad": 3}, "samples_ns": [104, 102, 100, 106, 110], )"
    R"("bytes": 4e6, "flop": 32000000, "clock_mhz": {"median": 1755}, "inner_repeats": 3}})";

MeasurementRecord read(const std::string& line) {
  const std::vector<MeasurementRecord> records = parse_measurement_records(line, "r.jsonl");
  BOOST_REQUIRE(records.size() == 1U);
  return records.front();
}

std::string message_of(const std::string& text) {
  try {
    (void)parse_measurement_records(text, "r.jsonl");
  } catch (const InputError& error) {
    BOOST_TEST((error.code() == ExitCode::bad_data));
    return error.what();
  }
  return "no error";
}

/// The record with `from` replaced, on the second line.
std::string changed(const std::string& from, const std::string& to) {
  std::string text = kRecord;
  const std::size_t at = text.find(from);
  BOOST_REQUIRE(at != std::string::npos);
  return "\n" + text.replace(at, from.size(), to);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(measurement_record)

BOOST_AUTO_TEST_CASE(every_field_is_read) {
  const MeasurementRecord record = read(kRecord);
  BOOST_TEST(record.key() == "decode_attention paged batch=64 heads=32 kv_heads=8 bf16");
  BOOST_TEST(record.device.uuid == "GPU-1");
  BOOST_TEST(!record.imported);
  BOOST_TEST(!record.sentinel);
  BOOST_TEST(record.ns.n == 5);
  BOOST_TEST(record.ns.median == 104.0);
  BOOST_TEST(record.ns.p5.value() == 101.5);
  BOOST_REQUIRE(record.cycles.has_value());
  BOOST_TEST(record.cycles->median == 180.5);
  BOOST_TEST(!record.cycles->q1.has_value());
  BOOST_TEST(record.samples_ns == (std::vector<double>{104, 102, 100, 106, 110}), tt::per_element());
  BOOST_TEST(record.bytes == 4e6);
  BOOST_TEST(record.flop == 3.2e7);
  BOOST_REQUIRE(record.more.size() == 2U);
  BOOST_TEST(record.more[0].first == "clock_mhz");
}

BOOST_AUTO_TEST_CASE(writing_and_reading_again_changes_nothing) {
  const std::string once = format_measurement_record(read(kRecord));
  BOOST_TEST(format_measurement_record(read(once)) == once);
  BOOST_TEST(read(once).key() == read(kRecord).key());
  BOOST_TEST(once.find(R"("driver": "580.65")") != std::string::npos);
  BOOST_TEST(once.find(R"("clock_mhz": {"median": 1755})") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(summaries_come_from_samples_where_they_are_absent) {
  const MeasurementRecord record = read(
      R"({"record": {"op": "copy", "shape": {}, "device": {"name": "cpu"}, "samples_ns": [4, 1, 3, 2]}})");
  BOOST_TEST(record.ns.n == 4);
  BOOST_TEST(record.ns.median == 2.5);
  BOOST_TEST(record.ns.q1.value() == 1.75);
  BOOST_TEST(record.ns.mad.value() == 1.0);
  BOOST_TEST(record.key() == "copy");
}

BOOST_AUTO_TEST_CASE(absent_is_absent_also_as_null) {
  const MeasurementRecord record = read(
      R"({"record": {"op": "copy", "shape": {}, "device": {"name": "cpu", "uuid": null}, "cycles": null, )"
      R"("ns": {"n": 1, "median": 5, "mad": null}}})");
  BOOST_TEST(!record.cycles.has_value());
  BOOST_TEST(!record.ns.mad.has_value());
  BOOST_TEST(record.device.uuid.empty());
}

BOOST_AUTO_TEST_CASE(a_sentinel_may_have_a_name) {
  BOOST_TEST(read(changed(R"("sentinel": false)", R"("sentinel": true)")).sentinel);
  BOOST_TEST(read(changed(R"("sentinel": false)", R"("sentinel": "copy")")).sentinel);
  BOOST_TEST(!read(changed(R"("sentinel": false)", R"("sentinel": null)")).sentinel);
}

BOOST_AUTO_TEST_CASE(a_calibration_gives_its_device_and_is_passed_over) {
  const std::string text = R"({"calibration": {"schema_version": 1, "device": {"name": "h200"}}})"
                           "\n"
                           R"({"fit": {"kernel": "x"}})"
                           "\n\n"
                           R"({"record": {"op": "copy", "shape": {}, "ns": {"n": 9, "median": 5}}})";
  const MeasurementRecord record = read(text);
  BOOST_TEST(record.device.name == "h200");
  BOOST_TEST(record.line == 4);
}

BOOST_AUTO_TEST_CASE(errors_name_their_place) {
  const auto expect = [](const std::string& text, const std::string& where, const std::string& what) {
    const std::string message = message_of(text);
    BOOST_TEST(message.find(where) == 0U, message);
    BOOST_TEST(message.find(what) != std::string::npos, message);
  };
  expect(changed(R"("op": "decode_attention", )", ""), "r.jsonl:2:", "op");
  expect(changed(R"("median": 104)", R"("median": -1)"), "r.jsonl:2:", "median");
  expect(changed(R"("median": 104)", R"("median": 99)"), "r.jsonl:2:", "below the quantile before it");
  expect(changed(R"("n": 5, "min")", R"("n": 0, "min")"), "r.jsonl:2:", "n");
  expect(changed(R"([104, 102)", R"(["104", 102)"), "r.jsonl:2:", "samples_ns");
  expect(changed(R"([104, 102)", R"([0, 102)"), "r.jsonl:2:", "samples_ns");
  expect(changed(R"("measured")", R"("guessed")"), "r.jsonl:2:", "known: measured, imported");
  expect(changed(R"({"kv_heads": 8, "batch": 64, "heads": 32})", "7"), "r.jsonl:2:", "shape");
  expect(changed(R"("sentinel": false)", R"("sentinel": 3)"), "r.jsonl:2:", "sentinel");
  expect(changed(R"("samples_ns")", R"("samples_cycles": [1], "samples_ns")"),
         "r.jsonl:2:", "1 samples beside 5");
  expect(changed(R"({"record")", R"({"recrod")"), "r.jsonl:2:", "record");
  expect("[1]", "r.jsonl:1:1:", "one object");
  expect("{\"record\": {", "r.jsonl:1:", "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast
