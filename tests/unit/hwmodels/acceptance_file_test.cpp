#include "hwmodels/acceptance_file.h"

#include <boost/test/unit_test.hpp>

#include "sim/base/error.h"

using namespace kvcast;

namespace {

std::string message_of(const std::string& text) {
  try {
    static_cast<void>(parse_acceptance(text, "file"));
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

bool equal(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](double x, double y) { return std::abs(x - y) < 1e-12; });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(acceptance_file)

BOOST_AUTO_TEST_CASE(scrapes_are_summed_over_engines) {
  const std::string text =
      "# HELP vllm:spec_decode_num_drafts_total x\n"
      "vllm:num_requests_running{engine=\"0\"} 3.0\n"
      "vllm:spec_decode_num_drafts_total{engine=\"0\"} 600\n"
      "vllm:spec_decode_num_drafts_total{engine=\"1\"} 400\n"
      "vllm:spec_decode_num_drafts_created{engine=\"1\"} 1.7e9\n"
      "vllm:spec_decode_num_accepted_tokens_per_pos_total{engine=\"0\",position=\"0\"} 500 1700000000\n"
      "vllm:spec_decode_num_accepted_tokens_per_pos_total{engine=\"1\",position=\"0\"} 300\n"
      "vllm:spec_decode_num_accepted_tokens_per_pos_total{engine=\"0\",position=\"1\"} 200\r\n";
  BOOST_TEST(equal(parse_acceptance(text, "file"), {0.8, 0.25}));
}

BOOST_AUTO_TEST_CASE(numbers_of_accepted_drafts) {
  BOOST_TEST(equal(parse_acceptance("3\n1\n0\n2\n", "file"), {0.75, 2.0 / 3, 0.5}));
  BOOST_TEST(equal(parse_acceptance("0\n0\n", "file"), {0.0}));
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_said) {
  BOOST_TEST(message_of("") == "file:1:1: it counts no verification");
  BOOST_TEST(message_of("2\n-1\n").starts_with("file:2:1: neither a counter"));
  BOOST_TEST(message_of("65\n").starts_with("file:1:1: neither a counter"));
  BOOST_TEST(message_of("vllm:spec_decode_num_drafts x\n").starts_with("file:1:1: the counter has no value"));
  BOOST_TEST(message_of("vllm:spec_decode_num_drafts{engine=\"0\"9\n")  // labels without an end
                 .starts_with("file:1:1: the counter has no value"));
  BOOST_TEST(message_of("vllm:spec_decode_num_drafts_total{} 4\n"
                        "vllm:spec_decode_num_accepted_tokens_per_pos_total{position=\"1\"} 3\n") ==
             "file:1:1: position 0 is missing");
  BOOST_TEST(message_of("vllm:spec_decode_num_drafts_total{} 4\n"
                        "vllm:spec_decode_num_accepted_tokens_per_pos_total{position=\"0\"} 5\n")
                 .starts_with("file: position 0 has 1.25"));
  BOOST_TEST(message_of("vllm:spec_decode_num_accepted_tokens_per_pos_total{pos=\"0\"} 5\n")
                 .starts_with("file:1:1: a label position"));
}

BOOST_AUTO_TEST_SUITE_END()
