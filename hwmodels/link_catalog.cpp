#include "hwmodels/link_catalog.h"

#include <algorithm>

#include "sim/base/config.h"
#include "sim/base/embedded.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::string_view kFolder = "configs/links/";
constexpr std::string_view kSuffix = ".yaml";

LinkDatasheet parse(std::string_view name, const EmbeddedFile& file) {
  Config config = Config::from_text(file.text, std::string(file.path));
  LinkDatasheet link;
  link.name = name;
  link.title = config.get_string("title");
  link.gb_per_s = config.get_real("gb_per_s", {1e-3, 1e5});
  link.write_gb_per_s = config.get_real("write_gb_per_s", {1e-3, 1e5}, link.gb_per_s);
  link.latency_us = config.get_real("latency_us", {0, 1e6});
  link.one_way = config.get_bool("one_way", false);
  link.sources = config.get_strings("sources");
  config.finish();
  return link;
}

}  // namespace

std::vector<LinkDatasheet> list_links() {
  std::vector<LinkDatasheet> links;
  for (const EmbeddedFile& file : embedded_files()) {
    if (!file.path.starts_with(kFolder) || !file.path.ends_with(kSuffix)) continue;
    std::string_view name = file.path.substr(kFolder.size());
    name.remove_suffix(kSuffix.size());
    links.push_back(parse(name, file));
  }
  std::sort(links.begin(), links.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return links;
}

LinkDatasheet find_link(std::string_view name, const std::string& where) {
  std::vector<std::string> names;
  for (LinkDatasheet& link : list_links()) {
    if (link.name == name) return link;
    names.push_back(link.name);
  }
  throw InputError(where + ": unknown link \"" + std::string(name) + "\"" + known_names(name, names));
}

}  // namespace kvcast
