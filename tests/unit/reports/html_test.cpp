#include <boost/test/unit_test.hpp>
#include <cctype>
#include <set>
#include <sstream>

#include "reports/report.h"
#include "reports/svg.h"
#include "tests/unit/reports/synthetic.h"

using namespace kvcast;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// True for `name`, `name a="x" b c="y"`, optionally with a slash at either end: every value quoted, none
/// holding a bracket.
bool is_tag(const std::string& tag) {
  const auto is_name = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '!';
  };
  const std::size_t end = tag.back() == '/' ? tag.size() - 1 : tag.size();
  std::size_t at = tag[0] == '/' ? 1 : 0;
  const auto name = [&] {
    const std::size_t begin = at;
    while (at < end && is_name(tag[at])) ++at;
    return at > begin;
  };
  if (!name()) return false;
  while (at < end) {
    if (tag[at++] != ' ' || !name()) return false;
    if (at == end || tag[at] != '=') continue;
    if (at + 1 >= end || tag[at + 1] != '"') return false;
    const std::size_t quote = tag.find('"', at + 2);
    if (quote >= end || tag.substr(at, quote - at).find('<') != std::string::npos) return false;
    at = quote + 1;
  }
  return true;
}

/// Empty where every element is closed in order and every attribute is quoted; else the first offence.
std::string first_markup_error(const std::string& html) {
  static const std::set<std::string> kVoid{"meta", "br", "!DOCTYPE"};  // SVG closes its own with "/>"
  std::vector<std::string> open;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const std::size_t end = html.find('>', at);
    if (end == std::string::npos) return "unclosed tag";
    const std::string tag = html.substr(at + 1, end - at - 1);
    if (tag.empty() || !is_tag(tag)) return "malformed <" + tag + ">";
    const bool closes = tag[0] == '/';
    const std::size_t begin = closes ? 1 : 0;
    const std::string name = tag.substr(begin, tag.find_first_of(" /", 1) - begin);
    if (closes) {
      if (open.empty() || open.back() != name) return "unexpected </" + name + ">";
      open.pop_back();
    } else if (kVoid.count(name) == 0 && tag.back() != '/') {
      open.push_back(name);
    }
    // CSS and scripts are not markup.
    if ((name == "style" || name == "script") && !closes) at = html.find("</" + name + ">", at) - 1;
  }
  return open.empty() ? "" : "never closed: " + open.back();
}

/// The page without what its scripts hold: markup, words and drawings.
std::string without_scripts(std::string html) {
  for (std::size_t at = html.find("<script"); at != std::string::npos; at = html.find("<script", at))
    html.erase(at, html.find("</script>", at) + 9 - at);
  return html;
}

std::vector<std::string> ids_of(const std::string& html) {
  std::vector<std::string> ids;
  const std::string key = " id=\"";
  for (std::size_t at = html.find(key); at != std::string::npos; at = html.find(key, at + 1)) {
    const std::size_t begin = at + key.size();
    ids.push_back(html.substr(begin, html.find('"', begin) - begin));
  }
  return ids;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(html)

BOOST_AUTO_TEST_CASE(the_checker_finds_faults) {
  BOOST_TEST(first_markup_error("<p>a</p>").empty());
  BOOST_TEST(!first_markup_error("<p><b>a</p></b>").empty());
  BOOST_TEST(!first_markup_error("<p>a").empty());
  BOOST_TEST(!first_markup_error("<p class=x>a</p>").empty());
  BOOST_TEST(!first_markup_error("<p class=\"x>a</p>").empty());
  BOOST_TEST(!first_markup_error("<p>1 < 2</p>").empty());
  BOOST_TEST(first_markup_error("<p a-b=\"x y\" c>a<line x1=\"1\"/><br></p>").empty());
}

BOOST_AUTO_TEST_CASE(well_formed_offline_and_small) {
  for (const std::int64_t requests : {0, 1, 2, 500, 140'000}) {
    const auto run = synthetic_run(requests);
    const std::string page = to_html(run->forecast);
    BOOST_TEST_CONTEXT(requests << " requests") {
      BOOST_TEST(first_markup_error(page) == "");
      for (const char* outside : {"http", "href", "url(", "@import", "fetch(", "XMLHttpRequest"})
        BOOST_TEST(!contains(page, outside), outside);
      const std::string words = without_scripts(page);
      for (const char* wrong : {"//", "src=", "nan", "inf\""}) BOOST_TEST(!contains(words, wrong), wrong);
      BOOST_TEST(page.size() < 1'000'000U);
      const std::vector<std::string> ids = ids_of(page);
      BOOST_TEST(std::set<std::string>(ids.begin(), ids.end()).size() == ids.size());
    }
  }
}

BOOST_AUTO_TEST_CASE(every_part_is_there) {
  const auto run = synthetic_run();
  const std::string page = to_html(run->forecast);
  for (const char* part : {"Misses the SLO",
                           "Uncalibrated:",
                           "KV budget",
                           "54.83 GiB",
                           "id=\"cdf-ttft-t\"",
                           "id=\"cdf-tpot-t\"",
                           "id=\"cdf-e2el-t\"",
                           "SLO p99 500 ms",
                           "KV cache in use",
                           "running",
                           "waiting",
                           "HBM bandwidth",
                           "Tensor cores",
                           "GEMMs reach 80 %",
                           "kvcast default",
                           "0123456789abcdef",
                           "<dt>Seed</dt><dd>1</dd>",
                           "kvcast 0.1.0",
                           "block_size: 16",
                           "prefers-color-scheme:dark",
                           "@media print",
                           "Over time, as a table",
                           "Definitions",
                           "uPlot 1.6.32",
                           "aria-describedby=\"def-ttft\"",
                           "first token - arrival, queueing included"}) {
    BOOST_TEST(contains(page, part), part);
  }
}

/// Each element that a picture's tag names as its label is there, and says something.
void check_labels(const std::string& page, const std::string& tag) {
  const std::string key = "aria-labelledby=\"";
  const std::size_t begin = tag.find(key) + key.size();
  std::istringstream ids(tag.substr(begin, tag.find('"', begin) - begin));
  int named = 0;
  for (std::string id; ids >> id; ++named) {
    const std::size_t at = page.find(" id=\"" + id + "\"");
    BOOST_REQUIRE_MESSAGE(at != std::string::npos, "no element " << id << " for " << tag);
    const std::size_t text = page.find('>', at) + 1;
    BOOST_TEST(page[text] != '<', "element " << id << " is empty");
  }
  BOOST_TEST(named > 0, tag);
}

BOOST_AUTO_TEST_CASE(every_picture_has_words) {
  const auto run = synthetic_run(1000);
  const std::string page = to_html(run->forecast);
  std::size_t pictures = 0;
  for (std::size_t at = page.find("<svg class="); at != std::string::npos;
       at = page.find("<svg class=", at + 1)) {
    const std::string tag = page.substr(at, page.find('>', at) - at);
    const bool labelled = contains(tag, "role=\"img\"") && contains(tag, "aria-labelledby=");
    const bool decoration = contains(tag, "aria-hidden=\"true\"");  // a bar whose number stands beside it
    BOOST_TEST((labelled != decoration), tag);
    if (labelled) check_labels(page, tag);
    ++pictures;
  }
  BOOST_TEST(pictures > 10U);
}

BOOST_AUTO_TEST_CASE(user_text_is_escaped) {
  const auto run = synthetic_run(5);
  run->forecast.title = "<script>alert('x')</script> & \"y\"";
  run->forecast.resolved = "a: </pre><b>\x01";
  run->forecast.inputs = {{"<i>.csv", "&"}};
  run->forecast.assumptions = {{"<u>", "<s>"}};
  const std::string page = to_html(run->forecast);
  BOOST_TEST(first_markup_error(page) == "");
  BOOST_TEST(!contains(page, "<script>alert"));
  BOOST_TEST(contains(page, "&lt;script&gt;alert(&#39;x&#39;)"));
  BOOST_TEST(escaped("a\x01\xC3\xA9\n") == "a\xEF\xBF\xBD\xC3\xA9\n");
}

BOOST_AUTO_TEST_CASE(axes_place_values_and_choose_round_ticks) {
  const Axis linear = Axis::linear({0, 10}, {100, 200});
  BOOST_TEST(linear.at(0) == 100.0);
  BOOST_TEST(linear.at(2.5) == 125.0);
  BOOST_TEST(linear.at(99) == 200.0);
  BOOST_TEST(linear.ticks(5) == (std::vector<double>{0, 2, 4, 6, 8, 10}), boost::test_tools::per_element());
  const Axis wide = Axis::fitted({1, 1000}, {0, 300});
  BOOST_TEST(wide.is_log());
  BOOST_TEST(wide.at(10) == 100.0, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(wide.ticks(5) == (std::vector<double>{1, 10, 100, 1000}), boost::test_tools::per_element());
  const Axis narrow = Axis::fitted({60, 100}, {0, 300});
  BOOST_TEST(!narrow.is_log());
  BOOST_TEST(narrow.at(50) == 150.0);
  BOOST_TEST(Axis::linear({0, 0.3}, {0, 1}).ticks(4).size() == 4U);
}

BOOST_AUTO_TEST_SUITE_END()
