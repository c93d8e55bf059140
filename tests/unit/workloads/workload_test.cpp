// `workload:` sections: what each key does to the stream, closed loops, determinism, and messages for what
// cannot be.
#include "workloads/workload.h"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/workloads/support.h"
#include "workloads/segments.h"

namespace kvcast {
namespace {

using test::ns;
using test::take_all;
using test::workload;
using test::workload_message;

std::string stream(const std::string& yaml, std::uint64_t seed = 1) {
  return test::shown(take_all(*workload(yaml, seed).make_source()));
}

std::vector<Request> requests_of(const std::string& yaml, std::uint64_t seed = 1) {
  return take_all(*workload(yaml, seed).make_source());
}

/// "synthetic: {..., EXTRA}" with cheap defaults.
std::string synthetic(const std::string& extra, const std::string& arrivals = "{process: poisson, rate: 4}") {
  return "synthetic: {requests: 200, arrivals: " + arrivals +
         ", input: {lognormal: {mean: 500, cv: 1}}, output: {uniform: [1, 300]}" +
         (extra.empty() ? "" : ", " + extra) + "}\n";
}

/// A folder that goes away with the test.
struct Folder {
  std::filesystem::path path;
  Folder()
      : path(std::filesystem::temp_directory_path() /
             ("kvcast-workload-test-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path / name) << text;
    return (path / name).string();
  }
};

const std::string kAzure =
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:15:00,100,10\n2023-11-16 18:15:10,200,20\n2023-11-16 18:15:20,300,30\n2023-11-16 "
    "18:15:30,4000,400\n";

BOOST_AUTO_TEST_SUITE(workloads)

BOOST_AUTO_TEST_CASE(equal_seeds_give_equal_streams) {
  const std::vector<std::string> yamls = {
      synthetic(""), synthetic("", "{process: gamma, rate: 2, burstiness: 0.4}"),
      synthetic("prefix: {groups: 5, tokens: 100}"),
      synthetic("sessions: {turns: {uniform: [1, 5]}, think_s: {exponential: 3}}"),
      synthetic("") + "predictor: {cv: 0.5}\npriorities: [1, 2, 3]\ntenants: [1, 1]\nmax_tokens: output\n"};
  for (const std::string& yaml : yamls) {
    const WorkloadSetup setup = workload(yaml);
    const std::string once = test::shown(take_all(*setup.make_source()));
    BOOST_TEST(once == test::shown(take_all(*setup.make_source())));
    BOOST_TEST(once == stream(yaml));
    BOOST_TEST(once != stream(yaml, 2));
    BOOST_TEST(setup.requests_max == 200);
  }
}

BOOST_AUTO_TEST_CASE(one_purpose_does_not_shift_another) {
  const auto arrivals = [](const std::string& yaml) {
    std::string text;
    for (const Request& request : requests_of(yaml)) text += std::to_string(ns(request.arrival)) + " ";
    return text;
  };
  const auto lengths = [](const std::string& yaml) {
    std::string text;
    for (const Request& request : requests_of(yaml))
      text += std::to_string(request.input.value) + "/" + std::to_string(request.output.value) + " ";
    return text;
  };
  const std::string base = synthetic("");
  BOOST_TEST(lengths(base) == lengths(synthetic("", "{process: gamma, rate: 9, cv: 3}")));
  BOOST_TEST(
      arrivals(base) ==
      arrivals("synthetic: {requests: 200, arrivals: {rate: 4}, input: {fixed: 5}, output: {fixed: 5}}"));
  BOOST_TEST(arrivals(base) == arrivals(synthetic("prefix: {groups: 3, tokens: 10}")));
  BOOST_TEST(lengths(base) == lengths(base + "predictor: {cv: 1}\ntenants: [1, 2]\n"));
  // A longer run begins with the shorter one.
  BOOST_TEST(stream(base).starts_with(
      stream("synthetic: {requests: 50, arrivals: {rate: 4}, input: {lognormal: {mean: 500, cv: 1}}, "
             "output: {uniform: [1, 300]}}")));
}

BOOST_AUTO_TEST_CASE(lengths_are_cut_input_first) {
  for (const Request& request : requests_of(synthetic("max: 400"))) {
    BOOST_REQUIRE(request.input.value + request.output.value <= 400);
    BOOST_REQUIRE(request.output.value >= 1);
  }
  const auto cut = requests_of(
      "synthetic: {requests: 1, arrivals: {process: at-once}, input: {fixed: 500}, output: {fixed: 70}, max: "
      "512, "
      "prefix: {tokens: 20}}");
  BOOST_TEST(cut[0].input.value == 511);
  BOOST_TEST(cut[0].output.value == 1);
  BOOST_TEST(test::segment_lengths(cut[0]) == (std::vector<std::int64_t>{20, 491}),
             boost::test_tools::per_element());
  const auto only_prefix = requests_of(
      "synthetic: {requests: 1, arrivals: {process: at-once}, input: {fixed: 500}, output: {fixed: 70}, max: "
      "11, "
      "prefix: {tokens: 20}}");
  BOOST_TEST(test::segment_lengths(only_prefix[0]) == (std::vector<std::int64_t>{10}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(prefixes_are_shared_by_group) {
  std::map<std::uint64_t, int> groups;
  std::set<std::uint64_t> own;
  for (const Request& request : requests_of(synthetic("prefix: {groups: 4, tokens: 64}"))) {
    BOOST_REQUIRE(request.details->content.size() == 2U);
    BOOST_REQUIRE(request.details->content[0].length.value == 64);
    BOOST_REQUIRE(request.input.value == 64 + request.details->content[1].length.value);
    ++groups[request.details->content[0].segment];
    own.insert(request.details->content[1].segment);
  }
  BOOST_TEST(groups.size() == 4U);
  BOOST_TEST(own.size() == 200U);
}

BOOST_AUTO_TEST_CASE(a_duration_ends_the_stream) {
  const auto requests = requests_of(
      "synthetic: {duration_s: 50, arrivals: {process: constant, rate: 2}, input: {fixed: 1}, output: "
      "{fixed: 1}}");
  BOOST_TEST(requests.size() == 99U);  // 0.5 s, 1 s, ..., 49.5 s
  BOOST_TEST(requests_of("synthetic: {requests: 10, duration_s: 50, arrivals: {process: constant, rate: 2}, "
                         "input: {fixed: 1}, output: "
                         "{fixed: 1}}")
                 .size() == 10U);
}

BOOST_AUTO_TEST_CASE(the_number_of_requests_has_a_default) {
  BOOST_TEST(requests_of("synthetic: {arrivals: {rate: 4}, input: {fixed: 1}, output: {fixed: 1}}").size() ==
             1000U);
}

BOOST_AUTO_TEST_CASE(a_closed_loop_keeps_its_concurrency) {
  const WorkloadSetup setup = workload(
      "synthetic: {requests: 6, arrivals: {process: closed-loop, concurrency: 2, think_s: 0.5}, input: "
      "{fixed: 1}, output: {fixed: 1}}");
  BOOST_TEST(setup.has_feedback);
  const auto source = setup.make_source();
  BOOST_TEST(source->has_feedback());
  BOOST_TEST(ns(source->next_arrival().value()) == 0);
  const Request first = source->take();
  const Request second = source->take();
  BOOST_TEST(ns(second.arrival) == 0);
  BOOST_TEST(!source->next_arrival().has_value());
  source->finished(second.id, Instant{Duration{1'000'000'000}});
  BOOST_TEST(ns(source->next_arrival().value()) == 1'500'000'000);
  const Request third = source->take();
  BOOST_TEST(to_number(third.id) == 2U);
  BOOST_TEST(ns(third.arrival) == 1'500'000'000);
  BOOST_TEST(!source->next_arrival().has_value());
  source->finished(first.id, Instant{Duration{2'000'000'000}});
  source->finished(third.id, Instant{Duration{2'000'000'000}});
  for (int i = 0; i < 2; ++i) BOOST_TEST(ns(source->take().arrival) == 2'500'000'000);
  source->finished(RequestId{3}, Instant{Duration{3'000'000'000}});
  BOOST_TEST(to_number(source->take().id) == 5U);
  source->finished(RequestId{4}, Instant{Duration{4'000'000'000}});
  BOOST_TEST(!source->next_arrival().has_value());
}

BOOST_AUTO_TEST_CASE(max_concurrency_delays_an_open_loop) {
  // Planned at 1, 2, 3, 4 s; one at a time; the first ends at 2.5 s.
  const auto source = workload(
                          "synthetic: {requests: 4, arrivals: {process: constant, rate: 1}, input: {fixed: "
                          "1}, output: {fixed: 1}}\nmax_concurrency: 1\n")
                          .make_source();
  BOOST_TEST(ns(source->take().arrival) == 1'000'000'000);
  BOOST_TEST(!source->next_arrival().has_value());
  source->finished(RequestId{0}, Instant{Duration{2'500'000'000}});
  BOOST_TEST(ns(source->take().arrival) == 2'500'000'000);
  source->finished(RequestId{1}, Instant{Duration{2'700'000'000}});
  BOOST_TEST(ns(source->take().arrival) == 3'000'000'000);  // not before it was planned
}

BOOST_AUTO_TEST_CASE(sessions_carry_their_conversation) {
  const WorkloadSetup setup = workload(
      "synthetic: {requests: 7, arrivals: {process: constant, rate: 1}, input: {fixed: 10}, output: {fixed: "
      "5}, prefix: {tokens: 100}, "
      "sessions: {turns: 3, think_s: 2}}");
  BOOST_TEST(setup.has_feedback);
  const auto source = setup.make_source();
  const Request first = source->take();
  BOOST_TEST(ns(first.arrival) == 1'000'000'000);
  BOOST_TEST(first.input.value == 110);
  BOOST_TEST(ns(source->next_arrival().value()) == 2'000'000'000);
  source->finished(first.id, Instant{Duration{1'100'000'000}});
  const Request second_session = source->take();
  BOOST_TEST(ns(second_session.arrival) == 2'000'000'000);
  BOOST_TEST(second_session.details->session == "1");
  const Request third_session = source->take();  // its only turn: seven requests are wanted
  BOOST_TEST(ns(third_session.arrival) == 3'000'000'000);
  const Request second_turn = source->take();
  BOOST_TEST(ns(second_turn.arrival) == 3'100'000'000);
  BOOST_TEST(second_turn.details->session == "0");
  BOOST_TEST(test::segment_lengths(second_turn) == (std::vector<std::int64_t>{100, 10, 5, 10}),
             boost::test_tools::per_element());
  BOOST_TEST(second_turn.details->content[1].segment == first.details->content[1].segment);
  BOOST_TEST(second_turn.details->content[2].segment == output_segment(request_name(first)));
  BOOST_TEST(second_turn.details->content[2].segment == first.details->output_segment);
  BOOST_TEST(!source->next_arrival().has_value());
  source->finished(third_session.id, Instant{Duration{4'000'000'000}});
  BOOST_TEST(!source->next_arrival().has_value());
  BOOST_TEST(requests_of("synthetic: {requests: 7, arrivals: {process: constant, rate: 1}, input: {fixed: "
                         "10}, output: {fixed: 5}, "
                         "sessions: {turns: 3}}")
                 .size() == 7U);
}

BOOST_AUTO_TEST_CASE(the_server_does_not_change_what_sessions_say) {
  const WorkloadSetup setup =
      workload(synthetic("sessions: {turns: {uniform: [1, 6]}, think_s: {exponential: 1}}, max: 5000") +
               "predictor: {cv: 0.7}\n");
  // The same requests, by session and turn, for a fast and a slow server; only order and arrivals differ.
  const auto by_turn = [&](std::int64_t service_ns) {
    std::multiset<std::string> seen;
    const auto source = setup.make_source();
    std::map<std::pair<std::int64_t, std::uint64_t>, bool> running;
    while (true) {
      const auto next = source->next_arrival();
      if (!running.empty() && (!next || running.begin()->first.first <= ns(*next))) {
        const auto [when, id] = running.begin()->first;
        running.erase(running.begin());
        source->finished(RequestId{id}, Instant{Duration{when}});
        continue;
      }
      if (!next) break;
      const Request request = source->take();
      running[{ns(request.arrival) + service_ns, to_number(request.id)}] = true;
      seen.insert(request.details->session + ":" + std::to_string(request.details->content.size()) + ":" +
                  std::to_string(request.input.value) + ":" + std::to_string(request.output.value) + ":" +
                  std::to_string(request.output_predicted.value));
      BOOST_REQUIRE(request.input.value + request.output.value <= 5000);
    }
    return seen;
  };
  const auto fast = by_turn(1'000);
  BOOST_TEST(fast.size() == 200U);
  BOOST_CHECK(fast == by_turn(3'000'000'000));
}

BOOST_AUTO_TEST_CASE(predictors_err_around_the_truth) {
  std::vector<double> ratios;
  for (const Request& request : requests_of(
           "synthetic: {requests: 50000, arrivals: {process: at-once}, input: {fixed: 1}, output: {fixed: "
           "100000}}\npredictor: {cv: 0.5}\nmax_tokens: output\n")) {
    BOOST_REQUIRE(request.output_limit.value == 100000);
    ratios.push_back(static_cast<double>(request.output_predicted.value) / 100000);
  }
  const test::Moments moments(ratios);
  BOOST_TEST(std::fabs(moments.mean - 1) < 4.5 * moments.mean_error());
  BOOST_TEST(std::fabs(moments.cv() - 0.5) < 4.5 * moments.cv_error());
}

BOOST_AUTO_TEST_CASE(mixes_follow_their_weights) {
  std::vector<double> priorities(3);
  std::vector<double> tenants(2);
  double both = 0;
  double interactive = 0;
  for (const Request& request : requests_of("synthetic: {requests: 60000, arrivals: {process: at-once}, "
                                            "input: {fixed: 1}, output: {fixed: 1}}\n"
                                            "priorities: [1, 2, 3]\ntenants: [3, 1]\n"
                                            "slo_classes: {interactive: 7, batch: 3}\n")) {
    interactive += request.details->slo_class == "interactive" ? 1 : 0;
    ++priorities[static_cast<std::size_t>(request.priority)];
    ++tenants[request.tenant];
    both += request.priority == 2 && request.tenant == 1 ? 1 : 0;
  }
  const auto near = [](double count, double share) {
    return std::fabs(count - 60000 * share) < 4.5 * std::sqrt(60000 * share * (1 - share));
  };
  BOOST_TEST(near(priorities[0], 1.0 / 6));
  BOOST_TEST(near(priorities[1], 1.0 / 3));
  BOOST_TEST(near(tenants[1], 0.25));
  BOOST_TEST(near(both, 0.125));  // independent of each other
  BOOST_TEST(near(interactive, 0.7));
}

BOOST_AUTO_TEST_CASE(traces_can_be_cut_and_sped_up) {
  const Folder folder;
  const std::string path = folder.write("a.csv", kAzure);
  const auto shown = [&](const std::string& options) {
    return stream("trace: {path: " + path + options + "}");
  };
  BOOST_TEST(shown("") == shown(", format: azure"));
  BOOST_TEST(shown(", limit: 2") == "0 0 100 10 0 0 0 0\n1 10000000000 200 20 0 0 0 0\n");
  BOOST_TEST(shown(", from_s: 10, to_s: 30") == "0 0 200 20 0 0 0 0\n1 10000000000 300 30 0 0 0 0\n");
  BOOST_TEST(shown(", from_s: 5, limit: 1") == "0 5000000000 200 20 0 0 0 0\n");
  BOOST_TEST(shown(", rate_scale: 2, to_s: 15") == "0 0 100 10 0 0 0 0\n1 5000000000 200 20 0 0 0 0\n");
  BOOST_TEST(shown(", max: 250, from_s: 10") ==
             "0 0 200 20 0 0 0 0\n1 10000000000 249 1 0 0 0 0\n2 20000000000 249 1 0 0 0 0\n");
}

BOOST_AUTO_TEST_CASE(a_faster_closed_loop_thinks_faster) {
  const Folder folder;
  const std::string path =
      folder.write("a.jsonl",
                   "{\"id\": \"a\", \"arrival_us\": 3000000, \"input_tokens\": 1, \"output_tokens\": 1}\n"
                   "{\"id\": \"b\", \"after\": {\"id\": \"a\", \"think_us\": 900000}, \"input_tokens\": 1, "
                   "\"output_tokens\": 1}\n");
  const auto source = workload("trace: {path: " + path + ", rate_scale: 3}").make_source();
  BOOST_TEST(ns(source->take().arrival) == 1'000'000'000);
  source->finished(RequestId{0}, Instant{Duration{1'000'000'001}});
  BOOST_TEST(ns(source->next_arrival().value()) == 1'300'000'001);
  BOOST_TEST(workload_message("trace: {path: " + path + ", to_s: 3}") ==
             "w.yaml:1:" + std::to_string(path.size() + 23) +
                 ": trace.to_s: a closed-loop trace has no time window: when its requests come depends on "
                 "the server");
}

BOOST_AUTO_TEST_CASE(inputs_are_listed_with_their_hashes) {
  const Folder folder;
  const std::string path = folder.write("a.csv", kAzure);
  Config config = Config::from_text("trace: {path: a.csv}", "w.yaml");
  const WorkloadSetup setup = make_workload(config, 1, folder.path.string());
  BOOST_REQUIRE(setup.inputs.size() == 1U);
  BOOST_TEST(setup.inputs[0].path == "a.csv");
  BOOST_TEST(setup.inputs[0].hash.size() == 16U);
  BOOST_TEST(setup.description == "trace a.csv (azure)");
  BOOST_TEST(setup.assumptions.size() == 1U);
  BOOST_TEST(setup.credit.starts_with("Azure LLM inference traces"));
  ExitCode code = ExitCode::fine;
  BOOST_TEST(test::message_of(
                 [&] {
                   Config missing = Config::from_text("trace: {path: b.csv}", "w.yaml");
                   static_cast<void>(make_workload(missing, 1, folder.path.string()));
                 },
                 &code) == "b.csv: no such file beside the scenario (in " + folder.path.string() +
                               ") or in the working directory");
  BOOST_CHECK(code == ExitCode::bad_data);
}

BOOST_AUTO_TEST_CASE(samples_come_from_length_files_and_traces) {
  const Folder folder;
  const std::string pairs =
      folder.write("p.csv", "num_prefill_tokens,num_decode_tokens,num_total_tokens\n10,1,11\n20,2,22\n");
  const std::string inputs = folder.write("i.csv", "input_length\n7\n0\n");
  const std::string trace = folder.write("a.csv", kAzure);
  const std::string head = "synthetic: {requests: 100, arrivals: {process: at-once}, ";
  for (const Request& request : requests_of(head + "lengths: {empirical: " + pairs + "}}")) {
    BOOST_REQUIRE(request.input.value == 10 * request.output.value);
  }
  std::set<std::int64_t> seen;
  for (const Request& request :
       requests_of(head + "input: {empirical: " + inputs + "}, output: {empirical: " + trace + "}}")) {
    BOOST_REQUIRE((request.input.value == 7 || request.input.value == 1));
    seen.insert(request.output.value);
  }
  BOOST_TEST(seen == (std::set<std::int64_t>{10, 20, 30, 400}), boost::test_tools::per_element());
  BOOST_TEST(workload_message(head + "lengths: {empirical: " + inputs + "}}") ==
             "w.yaml:1:79: synthetic.lengths.empirical: " + inputs + " has no output lengths");
}

BOOST_AUTO_TEST_CASE(profiles_fill_what_is_left_out) {
  const Folder folder;
  const std::string profile = folder.write("p.yaml",
                                           "workload:\n  synthetic: {requests: 3, arrivals: {process: "
                                           "constant, rate: 1}, input: {fixed: 4}, output: {fixed: 5}}\n");
  const std::string head = "synthetic: {profile: " + profile;
  BOOST_TEST(stream(head + "}") ==
             "0 1000000000 4 5 0 0 0 0\n1 2000000000 4 5 0 0 0 0\n2 3000000000 4 5 0 0 0 0\n");
  BOOST_TEST(stream(head + ", requests: 1, input: {fixed: 9}}") == "0 1000000000 9 5 0 0 0 0\n");
  BOOST_TEST(stream(head + ", requests: 1, arrivals: {process: at-once}}") == "0 0 4 5 0 0 0 0\n");
  BOOST_TEST(workload(head + "}").inputs.size() == 1U);
  const std::string bad = folder.write("bad.yaml", "workload:\n  synthetic: {requests: 3, rate: 1}\n");
  BOOST_TEST(workload_message("synthetic: {profile: " + bad + "}")
                 .starts_with(bad + ":2:28: unknown key \"rate\" in workload.synthetic"));
}

BOOST_AUTO_TEST_CASE(nothing_given_is_the_embedded_default) {
  const WorkloadSetup setup = workload("");
  BOOST_TEST(setup.requests_max == 19'366);
  BOOST_TEST(setup.assumptions.size() == 1U);
  BOOST_REQUIRE(setup.inputs.size() == 1U);
  BOOST_TEST(setup.inputs[0].path == "configs/workloads/azure-conv.yaml (embedded)");
  BOOST_TEST(stream("synthetic: {profile: azure-conv, requests: 50}") ==
             stream("").substr(0, stream("synthetic: {profile: azure-conv, requests: 50}").size()));
}

BOOST_AUTO_TEST_CASE(impossible_workloads_say_why) {
  const std::string lengths = ", input: {fixed: 1}, output: {fixed: 1}}";
  ExitCode code = ExitCode::fine;
  const auto message = [&](const std::string& yaml) { return workload_message(yaml, &code); };
  BOOST_TEST(message("synthetic: {arrivals: {rate: 4}}") ==
             "w.yaml:1:12: synthetic: lengths are needed: input and output, each {fixed: 512}, say, or "
             "lengths: {empirical: FILE}");
  BOOST_TEST(message("synthetic: {requests: 5" + lengths) ==
             "w.yaml:1:12: synthetic: arrivals are needed: {process: poisson, rate: 4}, say");
  BOOST_CHECK(code == ExitCode::usage);
  BOOST_TEST(message("synthetic: {arrivals: {rate: 0}" + lengths)
                 .starts_with("w.yaml:1:30: synthetic.arrivals.rate: 0 is outside"));
  BOOST_TEST(message("synthetic: {arrivals: {process: gamma, rate: 1, cv: 2, burstiness: 3}" + lengths) ==
             "w.yaml:1:68: synthetic.arrivals.burstiness: cv is given too; only one of them can be (cv = 1 / "
             "sqrt(burstiness))");
  BOOST_TEST(message("synthetic: {arrivals: {rate: 1, ramp: {from: 1, to: 2}}" + lengths) ==
             "w.yaml:1:30: synthetic.arrivals.rate: ramp is given too; only one of them can be");
  BOOST_TEST(message("synthetic: {arrivals: {process: rates, rates: [0, 0], window_s: 5}" + lengths) ==
             "w.yaml:1:47: synthetic.arrivals.rates: a rate above 0 is needed");
  BOOST_TEST(
      message("synthetic: {arrivals: {rate: 1}, input: {fixed: 1, uniform: [1, 2]}, output: {fixed: 1}}") ==
      "w.yaml:1:61: synthetic.input.uniform: fixed is given too; only one of them can be");
  BOOST_TEST(
      message("synthetic: {arrivals: {rate: 1}, input: {}, output: {fixed: 1}}") ==
      "w.yaml:1:41: synthetic.input: one of fixed, uniform, lognormal, quantiles, empirical is needed");
  BOOST_TEST(
      message("synthetic: {arrivals: {rate: 1}, input: {uniform: [5, 2]}, output: {fixed: 1}}") ==
      "w.yaml:1:51: synthetic.input.uniform: [low, high] is needed: two whole numbers, low not above high");
  BOOST_TEST(message("synthetic: {arrivals: {rate: 1}, input: {quantiles: [5, 2]}, output: {fixed: 1}}") ==
             "w.yaml:1:53: synthetic.input.quantiles: they must not fall");
  BOOST_TEST(message("synthetic: {arrivals: {rate: 1}, input: {quantiles: [2, 5, 9], tail: {p: [0.4], q: "
                     "[6]}}, output: {fixed: 1}}") ==
             "w.yaml:1:74: synthetic.input.tail.p: probabilities must rise, above the last step but one of "
             "quantiles and below 1");
  BOOST_TEST(message("synthetic: {arrivals: {rate: 1}, input: {quantiles: [2, 5, 9], tail: {p: [0.6], q: "
                     "[10]}}, output: {fixed: 1}}") ==
             "w.yaml:1:84: synthetic.input.tail.q: quantiles must not fall, from the last but one to the "
             "last of quantiles");
  BOOST_TEST(message("synthetic: {profile: azure-con}") ==
             "w.yaml:1:22: synthetic.profile: unknown profile \"azure-con\" (known: azure-conv; did you mean "
             "azure-conv?); a file's name ends in "
             ".yaml");
  BOOST_TEST(message("trace: {path: a}\nsynthetic: {}\n") ==
             "w.yaml:2:12: synthetic: trace is given too; only one of them can be");
  BOOST_TEST(message("trace: {}").starts_with("w.yaml:1:8: missing key \"path\" in trace"));
  BOOST_TEST(message("priorities: [0, 0]") ==
             "w.yaml:1:13: priorities: weights with a sum above 0 are needed");
  BOOST_TEST(message("synthetic: {arrivals: {process: closed-loop, concurrency: 2}" + lengths +
                     "\nmax_concurrency: 3\n") ==
             "w.yaml:2:18: max_concurrency: the closed loop has a concurrency of its own");
  const Folder folder;
  const std::string path = folder.write("a.csv", kAzure);
  BOOST_TEST(message("trace: {format: azur, path: " + path + "}")
                 .starts_with("w.yaml:1:17: unknown trace format \"azur\" (known: azure, mooncake"));
  BOOST_TEST(
      message("trace: {path: " + path + ", from_s: 5, to_s: 5}").ends_with("to_s: it must be above from_s"));
  BOOST_TEST(message("trace: {path: " + folder.path.string() + "/none}").ends_with("/none: no such file"));
  folder.write("b.csv", kAzure);
  BOOST_TEST(message("trace: {path: " + folder.path.string() + "}") ==
             path + ": a folder of several files is given, but a trace of format azure is one file");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
