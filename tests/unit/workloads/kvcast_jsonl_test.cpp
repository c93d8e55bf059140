// kvcast's own request format: every key, closed loops, strictness, and that what is written reads back.
#include <boost/test/unit_test.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/workloads/support.h"
#include "workloads/kvcast_jsonl.h"
#include "workloads/segments.h"
#include "workloads/trace_stats.h"

namespace kvcast {
namespace {

using test::ns;
using test::read_all;
using test::trace_message;

std::string line(const std::string& id, const std::string& rest) {
  return "{\"id\": \"" + id + "\", " + rest + ", \"output_tokens\": 3}\n";
}

std::string written(WorkloadSource& source) {
  std::ostringstream out;
  static_cast<void>(write_requests(source, out));
  return out.str();
}

std::string rewritten(const std::string& text) { return written(*test::trace_in_memory("kvcast", text)()); }

BOOST_AUTO_TEST_SUITE(kvcast_jsonl)

BOOST_AUTO_TEST_CASE(every_key_arrives) {
  const auto requests = read_all("kvcast",
                                 "{\"id\": \"a7\", \"arrival_us\": 1200.5, \"input_tokens\": 812, "
                                 "\"output_tokens\": 64, \"input\": [[\"sys\", 600], [\"u7\", 212]], "
                                 "\"priority\": -2, \"tenant\": \"17\", \"session\": \"s1\", \"n\": 1, "
                                 "\"beam_width\": 1, \"model\": \"m\", \"slo\": \"interactive\", "
                                 "\"max_tokens\": 100, \"queued_us\": 1, \"scheduled_us\": null, "
                                 "\"first_token_us\": 2, \"last_token_us\": 3, \"cached_tokens\": 0, "
                                 "\"preemptions\": 0, \"outcome\": \"completed\"}\n"
                                 "{\"id\": \"a8\", \"arrival_us\": 1300, \"input\": [[\"sys\", 600], "
                                 "[\"out:a7\", 64]], \"output_tokens\": 1, \"tenant\": \"acme\"}\n");
  BOOST_REQUIRE(requests.size() == 2U);
  const Request& first = requests[0];
  BOOST_TEST(ns(first.arrival) == 1'200'500);
  BOOST_TEST(first.input.value == 812);
  BOOST_TEST(first.output.value == 64);
  BOOST_TEST(first.output_limit.value == 100);
  BOOST_TEST(first.priority == -2);
  BOOST_TEST(first.tenant == 17U);
  BOOST_TEST(first.details->name == "a7");
  BOOST_TEST(first.details->session == "s1");
  BOOST_TEST(first.details->model == "m");
  BOOST_TEST(first.details->slo_class == "interactive");
  BOOST_TEST(first.details->content[0].segment == segment_id("sys"));
  BOOST_TEST(first.details->content[1].length.value == 212);
  const Request& second = requests[1];
  BOOST_TEST(second.input.value == 664);
  BOOST_TEST(second.details->content[0].segment == first.details->content[0].segment);
  BOOST_TEST(second.details->content[1].segment == output_segment("a7"));
  BOOST_TEST(first.details->output_segment == output_segment("a7"));
  BOOST_TEST(second.tenant == tenant_number("acme"));
  BOOST_TEST(second.tenant != 0U);
}

BOOST_AUTO_TEST_CASE(an_open_loop_has_no_feedback) {
  const auto make = test::trace_in_memory("kvcast", line("a", "\"arrival_us\": 0, \"input_tokens\": 1"));
  BOOST_TEST(!make()->has_feedback());
}

// a arrives at 0, b at 1 ms; c waits 2 ms for a; d waits for c; e waits for a too, but not before 100 ms.
const std::string kLoop =
    line("a", "\"arrival_us\": 0, \"input_tokens\": 10") +
    line("c", "\"after\": {\"id\": \"a\", \"think_us\": 2000}, \"input_tokens\": 30") +
    line("b", "\"arrival_us\": 1000, \"input_tokens\": 20") +
    line("d", "\"after\": {\"id\": \"c\"}, \"input_tokens\": 40") +
    line("e", "\"after\": {\"id\": \"a\"}, \"arrival_us\": 100000, \"input_tokens\": 50");

BOOST_AUTO_TEST_CASE(answers_of_a_request) {
  const std::string head = "\"arrival_us\": 0, \"input_tokens\": 1";
  const auto requests =
      read_all("kvcast", line("plain", head) + line("n", head + ", \"n\": 3") +
                             line("best", head + ", \"n\": 2, \"best_of\": 5") +
                             line("beams", head + ", \"n\": 2, \"beam_width\": 4") + line("after", head));
  const std::pair<int, int> expected[] = {{1, 1}, {3, 1}, {5, 1}, {1, 4}, {1, 1}};
  for (std::size_t i = 0; i < requests.size(); ++i) {
    BOOST_TEST(requests[i].details->samples == expected[i].first);
    BOOST_TEST(requests[i].details->beams == expected[i].second);
  }
}

BOOST_AUTO_TEST_CASE(waiting_requests_arrive_after_the_end_that_they_wait_for) {
  const auto source = test::trace_in_memory("kvcast", kLoop)();
  BOOST_TEST(source->has_feedback());
  const Request a = source->take();
  BOOST_TEST(a.details->name == "a");
  BOOST_TEST(ns(source->next_arrival().value()) == 1'000'000);
  // The end of a comes late: its dependents move with it.
  const Request b = source->take();
  BOOST_TEST(b.details->name == "b");
  BOOST_TEST(!source->next_arrival().has_value());
  source->finished(a.id, Instant{Duration{50'000'000}});
  BOOST_TEST(ns(source->next_arrival().value()) == 52'000'000);
  source->finished(b.id, Instant{Duration{51'000'000}});
  const Request c = source->take();
  BOOST_TEST(c.details->name == "c");
  BOOST_TEST(to_number(c.id) == 2U);
  BOOST_TEST(source->origin().after == "a");
  BOOST_TEST(source->origin().think.count() == 2'000'000);
  BOOST_TEST(ns(source->next_arrival().value()) == 100'000'000);
  source->finished(c.id, Instant{Duration{60'000'000}});
  BOOST_TEST(ns(source->next_arrival().value()) == 60'000'000);
  BOOST_TEST(source->take().details->name == "d");
  BOOST_TEST(source->take().details->name == "e");
  BOOST_TEST(!source->next_arrival().has_value());
}

BOOST_AUTO_TEST_CASE(sources_of_one_factory_do_not_share_state) {
  const auto make = test::trace_in_memory("kvcast", kLoop);
  const auto first = make();
  const auto second = make();
  const std::string once = test::shown(test::take_all(*first));
  BOOST_TEST(once == test::shown(test::take_all(*second)));
  BOOST_TEST(once == test::shown(test::take_all(*make())));
}

BOOST_AUTO_TEST_CASE(writing_twice_changes_nothing) {
  const std::string text =
      "{\"id\": \"a\\\"7\", \"arrival_us\": 1200.5, \"input\": [[\"sys\", 600], [\"u7\", 212]], "
      "\"output_tokens\": 64, \"tenant\": \"x\", "
      "\"priority\": 3, \"session\": \"s\", \"model\": \"m\", \"slo\": \"i\", \"max_tokens\": 70, "
      "\"n\": 3}\n" +
      line("b", "\"arrival_us\": 1201, \"input_tokens\": 20") +
      line("c", "\"after\": {\"id\": \"b\", \"think_us\": 0.001}, \"input_tokens\": 30");
  BOOST_TEST(rewritten(kLoop) == rewritten(rewritten(kLoop)));
  BOOST_TEST(test::shown(read_all("kvcast", kLoop)) == test::shown(read_all("kvcast", rewritten(kLoop))));
  const std::string once = rewritten(text);
  BOOST_TEST(once == rewritten(once));
  const auto before = read_all("kvcast", text);
  const auto after = read_all("kvcast", once);
  BOOST_TEST(test::shown(before) == test::shown(after));
  BOOST_TEST(once.find("\"after\": {\"id\": \"b\", \"think_us\": 0.001}") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(other_formats_convert_without_loss) {
  const std::string moon =
      "{\"timestamp\": 0, \"input_length\": 1100, \"output_length\": 500, \"hash_ids\": [0, 1, 2]}\n"
      "{\"timestamp\": 3000.25, \"input_length\": 1024, \"output_length\": 2, \"hash_ids\": [0, 7]}\n";
  const std::string text = written(*test::trace_in_memory("mooncake", moon)());
  const auto before = read_all("mooncake", moon);
  const auto after = read_all("kvcast", text);
  BOOST_REQUIRE(before.size() == after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    BOOST_CHECK(before[i].arrival == after[i].arrival);
    BOOST_TEST(before[i].input.value == after[i].input.value);
    BOOST_TEST(before[i].output.value == after[i].output.value);
    for (std::size_t k = 0; k < before[i].details->content.size(); ++k) {
      BOOST_TEST(before[i].details->content[k].segment == after[i].details->content[k].segment);
    }
  }
}

BOOST_AUTO_TEST_CASE(constant_memory_for_requests_that_arrive_together) {
  // Ten thousand requests at time 0: the reader must hand them out one by one, in the order of the file.
  std::string text;
  for (int i = 0; i < 10'000; ++i) text += line(std::to_string(i), "\"arrival_us\": 0, \"input_tokens\": 1");
  const auto source = test::trace_in_memory("kvcast", text)();
  for (int i = 0; i < 10'000; ++i) BOOST_REQUIRE(source->take().details->name == std::to_string(i));
  BOOST_TEST(!source->next_arrival().has_value());
}

BOOST_AUTO_TEST_CASE(wrong_lines_say_where_and_what) {
  const std::string keys =
      " (known: id, arrival_us, input_tokens, output_tokens, input, priority, tenant, session, after, n, "
      "best_of, beam_width, model, slo, max_tokens";
  const auto message = [](const std::string& text) {
    ExitCode code = ExitCode::fine;
    std::string result = trace_message("kvcast", text, &code);
    BOOST_CHECK(code == ExitCode::bad_data);
    return result;
  };
  BOOST_TEST(message(line("a", "\"arival_us\": 0, \"input_tokens\": 1")) ==
             "t:1:1: unknown key \"arival_us\"" + keys + "; did you mean arrival_us?)");
  BOOST_TEST(message("{\"arrival_us\": 0, \"input_tokens\": 1, \"output_tokens\": 3}\n") ==
             "t:1:1: \"id\" is missing");
  BOOST_TEST(message(line("a", "\"input_tokens\": 1")) == "t:1:1: \"arrival_us\" is missing");
  BOOST_TEST(message(line("a", "\"arrival_us\": 0")) == "t:1:1: \"input_tokens\" or \"input\" is missing");
  BOOST_TEST(message(line("a", "\"arrival_us\": 0, \"input\": []")) ==
             "t:1:1: \"input_tokens\" or \"input\" is missing");
  BOOST_TEST(message(line("a", "\"arrival_us\": 0, \"input_tokens\": 5, \"input\": [[\"s\", 4]]")) ==
             "t:1:1: input_tokens is 5, but the segments of input have 4");
  BOOST_TEST(message(line("a", "\"arrival_us\": 0, \"input\": [[\"s\"]]")) ==
             "t:1:40: input: pairs [\"segment\", tokens] are needed");
  BOOST_TEST(message(line("a", "\"arrival_us\": 0, \"input\": [[\"s\", 0]]")) ==
             "t:1:46: input: \"0\" is given, a whole number from 1 to 1073741824 is needed");
  BOOST_TEST(message(line("a", "\"arrival_us\": 0, \"input_tokens\": 0")) ==
             "t:1:46: input_tokens: \"0\" is given, a whole number from 1 to 1073741824 is needed");
  BOOST_TEST(message(line("", "\"arrival_us\": 0, \"input_tokens\": 1")) ==
             "t:1:8: id: a text of 1 to 4096 bytes is needed");
  BOOST_TEST(message(line("a", "\"arrival_us\": 0, \"input_tokens\": 1, \"n\": 0")) ==
             "t:1:54: n: \"0\" is given, a whole number from 1 to 4096 is needed");
  BOOST_TEST(message(line("a", "\"arrival_us\": 0, \"input_tokens\": 1, \"n\": 4, \"best_of\": 3")) ==
             "t:1:1: best_of: it must be at least n");
  BOOST_TEST(message(line("a", "\"arrival_us\": 0, \"input_tokens\": 1, \"n\": 4, \"beam_width\": 3")) ==
             "t:1:1: n, best_of: at most beam_width, the answers that a search of that width can return");
  BOOST_TEST(message(line("a", "\"arrival_us\": 0, \"input_tokens\": 1, \"priority\": 1.5")) ==
             "t:1:61: priority: \"1.5\" is given, a whole number from -2147483648 to 2147483647 is needed");
  BOOST_TEST(message(line("a", "\"arrival_us\": 5, \"input_tokens\": 1") +
                     line("b", "\"arrival_us\": 4, \"input_tokens\": 1")) ==
             "t:2:1: arrival_us: earlier than the line before: sort the lines by it");
}

BOOST_AUTO_TEST_CASE(wrong_loops_say_where_and_what) {
  const std::string a = line("a", "\"arrival_us\": 0, \"input_tokens\": 1");
  BOOST_TEST(trace_message("kvcast", a + line("b", "\"after\": {\"id\": \"z\"}, \"input_tokens\": 1")) ==
             "t:2:1: after: no request \"z\" in this file");
  BOOST_TEST(trace_message("kvcast", line("b", "\"after\": {\"id\": \"a\"}, \"input_tokens\": 1") + a) ==
             "t:1:1: after: \"a\" must stand above the request that waits for it");
  BOOST_TEST(trace_message("kvcast", line("b", "\"after\": {\"id\": \"b\"}, \"input_tokens\": 1")) ==
             "t:1:1: after: \"b\" must stand above the request that waits for it");
  BOOST_TEST(trace_message("kvcast", a + a + line("b", "\"after\": {\"id\": \"a\"}, \"input_tokens\": 1")) ==
             "t:2:1: id: \"a\" is also the id of line 1, and others wait for it");
  BOOST_TEST(trace_message("kvcast", a + line("b", "\"after\": {\"think_us\": 1}, \"input_tokens\": 1")) ==
             "t:2:22: after: \"id\" is missing");
  BOOST_TEST(trace_message("kvcast",
                           a + line("b", "\"after\": {\"id\": \"a\", \"wait\": 1}, \"input_tokens\": 1")) ==
             "t:2:1: unknown key \"wait\" in after (known: id, think_us)");
  BOOST_TEST(
      trace_message("kvcast", a + line("b", "\"\\u0061fter\": {\"id\": \"a\"}, \"input_tokens\": 1")) ==
      "t:2:1: after: the key must be written without escapes");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
