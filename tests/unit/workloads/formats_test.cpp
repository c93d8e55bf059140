// Every public format on small files whose content is known, and on files that are wrong.
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "tests/unit/workloads/support.h"
#include "workloads/segments.h"

namespace kvcast {
namespace {

using test::ns;
using test::read_all;
using test::segment_lengths;
using test::trace_message;

const std::string kAzureHead = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
const std::string kBurstHead = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n";

std::vector<std::int64_t> lengths(std::initializer_list<std::int64_t> values) { return values; }

BOOST_AUTO_TEST_SUITE(formats)

BOOST_AUTO_TEST_CASE(azure_counts_from_the_first_row) {
  const auto requests = read_all("azure", kAzureHead +
                                              "2023-11-16 18:15:46.6805900,374,44\r\n"
                                              "2023-11-16 18:15:50.9951690,396,109\n"
                                              "2023-11-17 00:00:00,0,0");
  BOOST_REQUIRE(requests.size() == 3U);
  BOOST_TEST(ns(requests[0].arrival) == 0);
  BOOST_TEST(requests[0].input.value == 374);
  BOOST_TEST(requests[0].output.value == 44);
  BOOST_CHECK(requests[0].details == nullptr);
  BOOST_TEST(ns(requests[1].arrival) == 4'314'579'000);
  BOOST_TEST(to_number(requests[1].id) == 1U);
  BOOST_TEST(ns(requests[2].arrival) == 20'653'319'410'000);
  BOOST_TEST(requests[2].input.value == 1);  // zeros count as one
  BOOST_TEST(requests[2].output.value == 1);
}

BOOST_AUTO_TEST_CASE(azure_2024_has_a_zone) {
  const auto requests = read_all("azure", kAzureHead +
                                              "2024-05-10 00:00:00.009930+00:00,2162,5\n"
                                              "2024-05-10 00:00:00.017335+00:00,2399,6\n");
  BOOST_REQUIRE(requests.size() == 2U);
  BOOST_TEST(ns(requests[1].arrival) == 7'405'000);
}

BOOST_AUTO_TEST_CASE(burstgpt_leaves_failures_out) {
  const auto requests = read_all("burstgpt", kBurstHead +
                                                 "5,ChatGPT,472,18,490,Conversation log\n"
                                                 "45.5,ChatGPT,0,0,0,Conversation log\n"
                                                 "118.25,GPT-4,417,276,693,API log\n");
  BOOST_REQUIRE(requests.size() == 2U);
  BOOST_TEST(ns(requests[0].arrival) == 5'000'000'000);
  BOOST_TEST(ns(requests[1].arrival) == 118'250'000'000);
  BOOST_TEST(requests[1].input.value == 417);
  BOOST_TEST(requests[1].output.value == 276);
}

BOOST_AUTO_TEST_CASE(columns_may_stand_in_any_order) {
  const auto requests = read_all(
      "burstgpt",
      "Session ID,Response tokens,Timestamp,Elapsed time,Request tokens,Model\n7,18,5,1.5,472,ChatGPT\n");
  BOOST_REQUIRE(requests.size() == 1U);
  BOOST_TEST(requests[0].input.value == 472);
  BOOST_TEST(requests[0].output.value == 18);
}

BOOST_AUTO_TEST_CASE(vidur_has_seconds) {
  const auto requests =
      read_all("vidur", "arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,374,44\n4.314579,396.0,109\n");
  BOOST_REQUIRE(requests.size() == 2U);
  BOOST_TEST(ns(requests[1].arrival) == 4'314'579'000);
  BOOST_TEST(requests[1].input.value == 396);
}

BOOST_AUTO_TEST_CASE(mooncake_last_block_is_shorter) {
  const auto requests =
      read_all("mooncake",
               "{\"timestamp\": 0, \"input_length\": 1100, \"output_length\": 500, \"hash_ids\": [0, 1, 2]}\n"
               "{\"timestamp\": 3000, \"input_length\": 1024, \"output_length\": 2, \"hash_ids\": [0, 7], "
               "\"more\": {}}\n");
  BOOST_REQUIRE(requests.size() == 2U);
  BOOST_TEST(ns(requests[1].arrival) == 3'000'000'000);
  BOOST_TEST(segment_lengths(requests[0]) == lengths({512, 512, 76}), boost::test_tools::per_element());
  BOOST_TEST(segment_lengths(requests[1]) == lengths({512, 512}), boost::test_tools::per_element());
  const auto& first = requests[0].details->content;
  const auto& second = requests[1].details->content;
  BOOST_TEST(first[0].segment == second[0].segment);
  BOOST_TEST(first[1].segment != second[1].segment);
}

BOOST_AUTO_TEST_CASE(mooncake_finds_other_block_sizes) {
  // 2358 = 147 * 16 + 6: hashes of full blocks only, the rest belongs to nobody else.
  const std::string line =
      "{\"timestamp\":46.926808,\"input_length\":38,\"output_length\":531,\"hash_ids\":[0,1]}\n";
  const auto requests = read_all("mooncake", line + line);
  BOOST_REQUIRE(requests.size() == 2U);
  BOOST_TEST(ns(requests[0].arrival) == 46'926'808);
  BOOST_TEST(segment_lengths(requests[0]) == lengths({16, 16, 6}), boost::test_tools::per_element());
  BOOST_TEST(requests[0].details->content[1].segment == requests[1].details->content[1].segment);
  BOOST_TEST(requests[0].details->content[2].segment != requests[1].details->content[2].segment);
  BOOST_TEST(segment_lengths(read_all("mooncake", line, "block_tokens: 19")[0]) == lengths({19, 19}),
             boost::test_tools::per_element());
}

const std::string kWekaHead =
    "{\"id\":\"trace_1\",\"block_size\":64,\"hash_id_scope\":\"local\",\"requests\":";

BOOST_AUTO_TEST_CASE(weka_sessions_have_their_own_hashes) {
  const std::string session =
      kWekaHead +
      "[{\"t\":0.0,\"in\":200,\"out\":5,\"type\":\"n\",\"api_time\":7.5,\"hash_ids\":[1,2,3]},"
      "{\"t\":19.0,\"in\":260,\"out\":6,\"hash_rle\":[[1,2],[9,2]],\"api_time\":null}]}\n";
  const auto requests = read_all("weka", session + session, "session_interval_s: 0");
  BOOST_REQUIRE(requests.size() == 4U);
  // Both sessions start at 0; ties go by session.
  BOOST_TEST(ns(requests[0].arrival) == 0);
  BOOST_TEST(ns(requests[1].arrival) == 0);
  BOOST_TEST(ns(requests[2].arrival) == 19'000'000'000);
  BOOST_TEST(segment_lengths(requests[0]) == lengths({64, 64, 64, 8}), boost::test_tools::per_element());
  BOOST_TEST(segment_lengths(requests[2]) == lengths({64, 64, 64, 64, 4}), boost::test_tools::per_element());
  const auto segment = [&](std::size_t request, std::size_t i) {
    return requests[request].details->content[i].segment;
  };
  BOOST_TEST(segment(0, 0) == segment(2, 0));
  BOOST_TEST(segment(0, 1) == segment(2, 1));
  BOOST_TEST(segment(0, 2) != segment(2, 2));
  BOOST_TEST(segment(0, 3) != segment(2, 4));  // tails
  BOOST_TEST(segment(0, 0) != segment(1, 0));  // sessions
  BOOST_TEST(requests[0].details->session == "trace_1");
}

BOOST_AUTO_TEST_CASE(weka_sub_agents_count_from_their_own_start) {
  const auto requests = read_all("weka", kWekaHead +
                                             "[{\"t\":0,\"in\":100,\"out\":5},"
                                             "{\"type\":\"subagent\",\"requests\":[{\"t\":1,\"in\":64,"
                                             "\"out\":1},{\"t\":4.5,\"in\":65,\"out\":2}],\"t\":10},"
                                             "{\"t\":12,\"in\":70,\"out\":3}]}");
  BOOST_REQUIRE(requests.size() == 4U);
  BOOST_TEST(ns(requests[1].arrival) == 11'000'000'000);
  BOOST_TEST(requests[1].input.value == 64);
  BOOST_TEST(ns(requests[2].arrival) == 12'000'000'000);
  BOOST_TEST(requests[2].input.value == 70);
  BOOST_TEST(ns(requests[3].arrival) == 14'500'000'000);
}

BOOST_AUTO_TEST_CASE(weka_closed_replay_waits_for_answers) {
  // Recorded: call 0 ends at 7.5, call 1 begins at 19 (11.5 s later) and ends at 21; call 2 begins at 20,
  // while call 1 runs: it too waits for call 0, 12.5 s. Call 3 waits for call 1 (the last to end before it),
  // 4 s.
  const std::string text =
      kWekaHead +
      "[{\"t\":0,\"in\":10,\"out\":1,\"api_time\":7.5},{\"t\":19,\"in\":20,\"out\":1,\"api_time\":2},"
      "{\"t\":20,\"in\":30,\"out\":1,\"api_time\":100},{\"t\":25,\"in\":40,\"out\":1}]}";
  const auto source = test::trace_in_memory("weka", text, "replay: closed")();
  BOOST_TEST(source->has_feedback());
  BOOST_TEST(ns(source->next_arrival().value()) == 0);
  const Request first = source->take();
  BOOST_TEST(!source->next_arrival().has_value());
  source->finished(first.id, Instant{Duration{1'000'000'000}});
  BOOST_TEST(ns(source->next_arrival().value()) == 12'500'000'000);
  const Request second = source->take();
  BOOST_TEST(second.input.value == 20);
  BOOST_TEST(source->origin().after == "0");
  BOOST_TEST(ns(source->next_arrival().value()) == 13'500'000'000);
  const Request third = source->take();
  BOOST_TEST(third.input.value == 30);
  source->finished(third.id, Instant{Duration{14'000'000'000}});
  BOOST_TEST(!source->next_arrival().has_value());
  source->finished(second.id, Instant{Duration{20'000'000'000}});
  BOOST_TEST(ns(source->next_arrival().value()) == 24'000'000'000);
  BOOST_TEST(source->take().input.value == 40);
  BOOST_TEST(!source->next_arrival().has_value());
}

BOOST_AUTO_TEST_CASE(lmcache_characters_become_tokens) {
  const std::string text =
      "{\"timestamp_us\":1760587666509217,\"session\":\"a\",\"turn\":0,\"in_chars\":600,\"out_chars\":118,"
      "\"hash_rle\":[[0,2]]}\n"
      "{\"timestamp_us\":1760587666509218,\"session\":\"b\",\"turn\":0,\"in_chars\":0,\"out_chars\":0,\"hash_"
      "rle\":[]}\n"
      "{\"timestamp_us\":1760587667509217,\"session\":\"a\",\"turn\":1,\"in_chars\":257,\"out_chars\":4,"
      "\"hash_rle\":[[0,1]]}\n";
  const auto requests = read_all("lmcache", text);
  BOOST_REQUIRE(requests.size() == 3U);
  BOOST_TEST(ns(requests[0].arrival) == 0);
  BOOST_TEST(ns(requests[1].arrival) == 1'000);
  BOOST_TEST(requests[0].input.value == 150);
  BOOST_TEST(requests[0].output.value == 30);
  BOOST_TEST(segment_lengths(requests[0]) == lengths({64, 64, 22}), boost::test_tools::per_element());
  BOOST_TEST(requests[1].input.value == 1);
  BOOST_TEST(segment_lengths(requests[2]) == lengths({64, 1}), boost::test_tools::per_element());
  BOOST_TEST(requests[0].details->content[0].segment == requests[2].details->content[0].segment);
  const auto coarse = read_all("lmcache", text, "chars_per_token: 3");
  BOOST_TEST(coarse[0].input.value == 200);
  BOOST_TEST(segment_lengths(coarse[0]) == lengths({85, 85, 30}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(llmservingsim_token_ids_become_chained_blocks) {
  const std::string text =
      "{\"input_toks\": 5, \"output_toks\": 2, \"arrival_time_ns\": 7, \"input_tok_ids\": [1, 2, 3, 4, 5], "
      "\"output_tok_ids\": [6, 7]}\n"
      "{\"input_toks\": 5, \"output_toks\": 2, \"arrival_time_ns\": 9, \"input_tok_ids\": [1, 2, 8, 4, 5]}\n"
      "{\"input_toks\": 5, \"output_toks\": 2, \"arrival_time_ns\": 9}\n";
  const auto requests = read_all("llmservingsim", text, "block_tokens: 2");
  BOOST_REQUIRE(requests.size() == 3U);
  BOOST_TEST(ns(requests[0].arrival) == 7);
  BOOST_TEST(segment_lengths(requests[0]) == lengths({2, 2, 1}), boost::test_tools::per_element());
  const auto segment = [&](std::size_t request, std::size_t i) {
    return requests[request].details->content[i].segment;
  };
  BOOST_TEST(segment(0, 0) == segment(1, 0));
  BOOST_TEST(segment(0, 1) != segment(1, 1));
  BOOST_TEST(segment(0, 2) != segment(1, 2));  // the same token after another prefix
  BOOST_CHECK(requests[2].details == nullptr);
}

BOOST_AUTO_TEST_CASE(formats_are_found_by_content) {
  const auto detected = [](const std::string& text) { return detect_format(file_in_memory("t", text)).name; };
  BOOST_TEST(detected(kAzureHead + "2023-11-16 18:15:46.6805900,374,44\n") == "azure");
  BOOST_TEST(detected(kBurstHead) == "burstgpt");
  BOOST_TEST(detected("arrived_at,num_prefill_tokens,num_decode_tokens\n") == "vidur");
  BOOST_TEST(detected("{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 5, \"hash_ids\": [0]}\n") ==
             "mooncake");
  BOOST_TEST(detected(kWekaHead + "[]}") == "weka");
  BOOST_TEST(detected("{\"timestamp_us\":1,\"session\":\"a\",\"in_chars\":600}") == "lmcache");
  BOOST_TEST(detected("{\"input_toks\": 5, \"output_toks\": 2, \"arrival_time_ns\": 7}") == "llmservingsim");
  BOOST_TEST(detected("{\n  \"0\": {\n    \"input_tokens\": \"{1: 1.0}\"") == "servegen");
  BOOST_TEST(detected("{\"id\": \"a\", \"arrival_us\": 0, \"input_tokens\": 1, \"output_tokens\": 1}") ==
             "kvcast");
}

BOOST_AUTO_TEST_CASE(unknown_content_is_refused_by_name) {
  ExitCode code = ExitCode::fine;
  const auto message = [&](const std::string& text) {
    return test::message_of([&] { static_cast<void>(detect_format(file_in_memory("t", text))); }, &code);
  };
  const std::string known =
      " (known: azure, mooncake, weka, lmcache, llmservingsim, servegen, burstgpt, vidur, engine-log, kvcast)";
  BOOST_TEST(message("") == "t:1:1: the file is empty");
  BOOST_TEST(message("a,b,c\n1,2,3\n") == "t:1:1: no known trace format begins like this" + known);
  BOOST_CHECK(code == ExitCode::bad_data);
  BOOST_TEST(message("num_prefill_tokens,num_decode_tokens,num_total_tokens,pd_ratio\n") ==
             "t:1:1: these are lengths without arrivals: name the file under "
             "workload.synthetic.lengths.empirical and give arrivals");
  BOOST_TEST(message("input_length,output_length\n") ==
             "t:1:1: these are lengths without arrivals: name the file under "
             "workload.synthetic.lengths.empirical and give arrivals");
}

struct Bad {
  const char* format;
  std::string text;
  std::string message;
};

const std::string kMoon =
    "{\"timestamp\": 5, \"input_length\": 10, \"output_length\": 5, \"hash_ids\": [1]}\n";
const std::string kSim = "{\"input_toks\": 5, \"output_toks\": 2, \"arrival_time_ns\": 7}\n";
const std::string kLm =
    "{\"timestamp_us\":9,\"session\":\"a\",\"in_chars\":600,\"out_chars\":1,\"hash_rle\":[[0,2]]}\n";

const std::vector<Bad>& bad_csv() {
  static const std::vector<Bad> cases = {
      {"azure", "", "t:1:1: empty: a header line is needed"},
      {"azure", "TIMESTAMP,ContextTokens,Generated\n",
       "t:1:1: no column \"GeneratedTokens\" (known: TIMESTAMP, ContextTokens, Generated)"},
      {"azure", kAzureHead + "2023-11-16 18:15:46.68,374\n",
       "t:2:1: this row has 2 fields, the header has 3"},
      {"azure", kAzureHead + "2023-11-16 18:15:46.68,-3,44\n",
       "t:2:24: ContextTokens: \"-3\" is given, a whole number from 0 to 1073741824 is needed"},
      {"azure", kAzureHead + "2023-11-16 18:15:46.68,3,9999999999\n",
       "t:2:26: GeneratedTokens: \"9999999999\" is given, a whole number from 0 to 1073741824 is needed"},
      {"azure", kAzureHead + "2023-11-16 18:15:46.68,3,\n",
       "t:2:26: GeneratedTokens: \"\" is given, a whole number from 0 to 1073741824 is needed"},
      {"azure", kAzureHead + "yesterday,374,44\n",
       "t:2:1: TIMESTAMP: \"yesterday\" is given, a date and time (2023-11-16 18:15:46.6805900) is needed"},
      {"azure", kAzureHead + "2023-11-16 18:15:47,374,44\n2023-11-16 18:15:46,374,44\n",
       "t:3:1: TIMESTAMP: earlier than the row before: sort the rows by this column"},
      {"azure", kAzureHead + "1990-11-16 18:15:47,374,44\n2023-11-16 18:15:46,374,44\n",
       "t:3:1: TIMESTAMP: more than ten years after the first row"},
      {"burstgpt", kBurstHead + "-5,ChatGPT,472,18,490,Conversation log\n",
       "t:2:1: Timestamp: \"-5\" is given, seconds of 0 or more (at most ten years) is needed"},
      {"burstgpt", kBurstHead + "5,Chat,GPT,472,18,490,Conversation log\n",
       "t:2:1: this row has 7 fields, the header has 6"},
      {"vidur", "arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,12.5,44\n",
       "t:2:5: num_prefill_tokens: \"12.5\" is given, a whole number from 0 to 1073741824 is needed"},
  };
  return cases;
}

const std::vector<Bad>& bad_json() {
  static const std::vector<Bad> cases = {
      {"mooncake", kMoon + "{\"timestamp\": 5 \"input_length\": 10}\n",
       "t:2:17: not valid JSON: ',' or '}' is needed here"},
      {"mooncake", "[1, 2]\n", "t:1:1: a JSON object, {\"key\": value, ...}, is needed"},
      {"mooncake", "{\"timestamp\": 5, \"input_length\": 10",
       "t:1:36: not valid JSON: ',' or '}' is needed here"},
      {"mooncake", "{\"timestamp\": 5, \"in\xff\": 10}", "t:1:21: not valid JSON: bytes that are not UTF-8"},
      {"mooncake", kMoon + "{\"timestamp\": 5, \"input_length\": 10}\n",
       "t:2:1: \"output_length\" is missing"},
      {"mooncake", "{\"timestamp\": \"x\", \"input_length\": 10, \"output_length\": 5}\n",
       "t:1:15: timestamp: a text is given, a time of 0 or more (at most ten years) is needed"},
      {"mooncake", "{\"timestamp\": 5, \"input_length\": 1.5, \"output_length\": 5}\n",
       "t:1:34: input_length: \"1.5\" is given, a whole number from 0 to 1073741824 is needed"},
      {"mooncake", "{\"timestamp\": 5, \"input_length\": 10, \"output_length\": 5, \"hash_ids\": 7}\n",
       "t:1:70: hash_ids: \"7\" is given, a list, [...] is needed"},
      {"mooncake", "{\"timestamp\": 5, \"input_length\": 10, \"output_length\": 5, \"hash_ids\": [-1]}\n",
       "t:1:71: hash_ids: \"-1\" is given, a whole number from 0 to 9223372036854775807 is needed"},
      {"mooncake", "{\"timestamp\": 5, \"timestamp\": 6, \"input_length\": 10, \"output_length\": 5}\n",
       "t:1:1: \"timestamp\" is given twice"},
      {"mooncake", kMoon + "{\"timestamp\": 4, \"input_length\": 10, \"output_length\": 5}\n",
       "t:2:1: timestamp: earlier than the line before: sort the lines by it"},
      {"mooncake",
       kMoon +
           "{\"timestamp\": 9, \"input_length\": 1000, \"output_length\": 5, \"hash_ids\": [1]} trailing\n",
       "t:2:77: not valid JSON: the end of the line is needed here"},
      {"mooncake",
       kMoon + "{\"timestamp\": 9, \"input_length\": 1100, \"output_length\": 5, \"hash_ids\": [1]}\n",
       "t:2:1: 1 hash_ids for 1100 tokens: with blocks of 512 tokens 3 are needed (block_tokens says how "
       "many tokens a hash stands for)"},
      {"mooncake",
       "{\"timestamp\": 9, \"input_length\": 10, \"output_length\": 5, \"hash_ids\": [1, 2, 3]}\n",
       "t:1:1: 3 hash_ids for 10 tokens fit no block size from 16 to 2048: give block_tokens"},
      {"llmservingsim", "{\"input_toks\": 5, \"output_toks\": 2}\n", "t:1:1: \"arrival_time_ns\" is missing"},
      {"llmservingsim",
       "{\"input_toks\": 5, \"output_toks\": 2, \"arrival_time_ns\": 7, \"input_tok_ids\": [1, 2]}\n",
       "t:1:1: input_tok_ids: 2 ids for input_toks 5"},
      {"llmservingsim", kSim + "{\"input_toks\": 5, \"output_toks\": 2, \"arrival_time_ns\": 6}\n",
       "t:2:1: arrival_time_ns: earlier than the line before: sort the lines by it"},
      {"lmcache", "{\"timestamp_us\":9,\"session\":\"a\",\"in_chars\":600}\n",
       "t:1:1: \"out_chars\" is missing"},
      {"lmcache", "{\"timestamp_us\":9,\"in_chars\":600,\"out_chars\":1,\"hash_rle\":[[0,3]]}\n",
       "t:1:1: hash_rle: more hashes than the 2 full blocks of 256 characters in in_chars"},
      {"lmcache", "{\"timestamp_us\":9,\"in_chars\":600,\"out_chars\":1,\"hash_rle\":[[0,1,2]]}\n",
       "t:1:60: hash_rle: pairs [first, count] are needed"},
      {"lmcache", kLm + "{\"timestamp_us\":8,\"in_chars\":600,\"out_chars\":1}\n",
       "t:2:1: timestamp_us: earlier than the line before: sort the lines by it"},
  };
  return cases;
}

const std::vector<Bad>& bad_weka() {
  static const std::vector<Bad> cases = {
      {"weka", "{\"id\":\"a\",\"requests\":[]}", "t:1:1: \"block_size\" is missing"},
      {"weka", "{\"id\":\"a\",\"block_size\":64,\"hash_id_scope\":\"global\",\"requests\":[]}",
       "t:1:43: hash_id_scope: only \"local\" (to the session) is known"},
      {"weka", kWekaHead + "[{\"in\":10,\"out\":1}]}", "t:1:69: \"t\" is missing"},
      {"weka", kWekaHead + "[{\"t\":0,\"out\":1}]}", "t:1:69: \"in\" or \"out\" is missing"},
      {"weka", kWekaHead + "[{\"t\":0,\"in\":64,\"out\":1,\"hash_ids\":[1],\"hash_rle\":[[1,1]]}]}",
       "t:1:69: hash_ids and hash_rle exclude each other"},
      {"weka", kWekaHead + "[{\"t\":0,\"in\":127,\"out\":1,\"hash_rle\":[[1,2]]}]}",
       "t:1:1: 2 hashes for the call of 127 tokens: it has 1 full blocks of 64"},
      {"weka", kWekaHead + "[{\"t\":0,\"in\":127,\"out\":1,\"hash_rle\":[[1]]}]}",
       "t:1:105: hash_rle: pairs [first, count] are needed"},
      {"weka", kWekaHead + "[5]}", "t:1:69: requests: \"5\" is given, an object, {...} is needed"},
  };
  return cases;
}

void check(const std::vector<Bad>& cases) {
  for (const Bad& bad : cases) {
    ExitCode code = ExitCode::fine;
    BOOST_TEST(trace_message(bad.format, bad.text, &code) == bad.message);
    BOOST_CHECK(code == ExitCode::bad_data);
  }
}

BOOST_AUTO_TEST_CASE(bad_csv_says_where_and_what) { check(bad_csv()); }
BOOST_AUTO_TEST_CASE(bad_json_says_where_and_what) { check(bad_json()); }
BOOST_AUTO_TEST_CASE(bad_sessions_say_where_and_what) { check(bad_weka()); }

BOOST_AUTO_TEST_CASE(segment_ids_do_not_collide_within_a_space) {
  BOOST_TEST(numbered_segment(1, 2) != numbered_segment(2, 1));
  BOOST_TEST(segment_id("sys") == segment_id("sys"));
  BOOST_TEST(segment_id("sys") != segment_id("sys2"));
  BOOST_TEST(segment_id(segment_name(0x0123456789abcdefu)) == 0x0123456789abcdefu);
  BOOST_TEST(segment_name(0) == "#0000000000000000");
  BOOST_TEST(segment_id("#xyz") != 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
