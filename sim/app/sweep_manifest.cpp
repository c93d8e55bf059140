#include "sim/app/sweep_manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "hwmodels/json_document.h"
#include "sim/base/hash.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

using Json = nlohmann::ordered_json;
using Type = JsonValue::Type;

constexpr std::int64_t kManifestFormat = 1;
constexpr std::int64_t kLogFormat = 1;
constexpr const char* kStatuses[] = {"run", "infeasible", "impossible"};

[[noreturn]] void fail(const std::string& name, const JsonValue& at, const std::string& what) {
  throw InputError(fmt::format("{}:{}:{}: {}", name, at.line, at.column, what), ExitCode::bad_data);
}

void check_type(const std::string& name, const JsonValue& value, Type type, std::string_view what) {
  if (value.type == type) return;
  fail(name, value,
       fmt::format("{}: {} is given, {} is needed", what, to_string(value.type), to_string(type)));
}

/// An object with exactly these keys.
void check_keys(const std::string& name, const JsonValue& object, std::initializer_list<const char*> keys) {
  check_type(name, object, Type::object, "value");
  const std::vector<std::string> known(keys.begin(), keys.end());
  for (const auto& [key, value] : object.members) {
    if (std::find(known.begin(), known.end(), key) == known.end())
      fail(name, value, "unknown key " + kvcast::quoted(key) + known_names(key, known));
  }
  for (const std::string& key : known) {
    if (object.find(key) == nullptr) fail(name, object, "the key " + key + " is missing");
  }
}

const JsonValue& member(const std::string& name, const JsonValue& object, const char* key, Type type) {
  const JsonValue* value = object.find(key);
  KVCAST_CHECK(value != nullptr);
  check_type(name, *value, type, key);
  return *value;
}

std::string text_of(const std::string& name, const JsonValue& object, const char* key) {
  return member(name, object, key, Type::string).text;
}

std::int64_t integer_of(const std::string& name, const JsonValue& object, const char* key, std::int64_t max) {
  const JsonValue& value = member(name, object, key, Type::integer);
  if (value.integer < 0 || value.integer > max)
    fail(name, value, fmt::format("{}: {} is given, 0 to {} is needed", key, value.integer, max));
  return value.integer;
}

void check_format(const std::string& name, const JsonValue& object, const char* key, std::int64_t format) {
  const JsonValue& value = member(name, object, key, Type::integer);
  if (value.integer != format)
    fail(name, value,
         fmt::format("{}: format {} is given, this kvcast reads {}", key, value.integer, format));
}

Json json_of(const std::vector<Setting>& settings) {
  Json list = Json::array();
  for (const Setting& setting : settings) list.push_back({setting.path, setting.value});
  return list;
}

Json json_of(const InputHash& input) { return {{"path", input.path}, {"hash", input.hash}}; }

InputHash read_input(const std::string& name, const JsonValue& value) {
  check_keys(name, value, {"path", "hash"});
  return {text_of(name, value, "path"), text_of(name, value, "hash")};
}

/// [["engine.block_size", "16"], ...]
std::vector<Setting> read_settings(const std::string& name, const JsonValue& list) {
  std::vector<Setting> settings;
  for (const JsonValue& pair : list.items) {
    check_type(name, pair, Type::array, "a setting");
    if (pair.items.size() != 2) fail(name, pair, "a setting is [path, value]");
    for (const JsonValue& text : pair.items) check_type(name, text, Type::string, "a setting");
    settings.push_back({pair.items[0].text, pair.items[1].text});
  }
  return settings;
}

Variation read_variation(const std::string& name, const JsonValue& value) {
  check_keys(name, value, {"path", "values"});
  Variation variation{text_of(name, value, "path"), {}};
  for (const JsonValue& text : member(name, value, "values", Type::array).items) {
    check_type(name, text, Type::string, "a value");
    variation.values.push_back(text.text);
  }
  return variation;
}

SweepPoint read_point(const std::string& name, const JsonValue& value, const SweepManifest& manifest) {
  check_keys(name, value, {"id", "settings", "seed", "inputs", "hash"});
  SweepPoint point;
  const std::int64_t id = integer_of(name, value, "id", kSweepPointsMax);
  if (id != static_cast<std::int64_t>(manifest.points.size()))
    fail(name, value, fmt::format("point {} is out of order", id));
  point.settings = read_settings(name, member(name, value, "settings", Type::array));
  const bool fit = std::equal(
      point.settings.begin(), point.settings.end(), manifest.variations.begin(), manifest.variations.end(),
      [](const Setting& setting, const Variation& variation) { return setting.path == variation.path; });
  if (!fit) fail(name, value, "the settings are not a value for each variation");
  point.seed =
      static_cast<std::uint64_t>(integer_of(name, value, "seed", std::numeric_limits<std::int64_t>::max()));
  for (const JsonValue& input : member(name, value, "inputs", Type::array).items) {
    check_type(name, input, Type::integer, "inputs");
    if (input.integer < 0 || input.integer >= static_cast<std::int64_t>(manifest.inputs.size()))
      fail(name, input, fmt::format("there is no input {}", input.integer));
    point.inputs.push_back(static_cast<std::size_t>(input.integer));
  }
  point.hash = text_of(name, value, "hash");
  if (point.hash != point_hash(manifest, point))
    fail(name, value, fmt::format("the hash of point {} does not fit it: the manifest was changed", id));
  return point;
}

/// The JSON text of a number of a result.
std::string number_text(const std::string& name, const JsonValue& value) {
  switch (value.type) {
    case Type::null:
      return "";
    case Type::boolean:
      return value.boolean ? "true" : "false";
    case Type::integer:
      return std::to_string(value.integer);
    case Type::real:
      if (!std::isfinite(value.real)) fail(name, value, "a finite number is needed");
      return Json(value.real).dump();
    default:
      fail(name, value, "a number, true, false or null is needed");
  }
}

/// What to_json() writes is UTF-8 alone.
void check_text(std::string_view text, const std::string& name) {
  if (find_invalid_utf8(text) != std::string_view::npos)
    throw InputError(name + ": is not UTF-8", ExitCode::bad_data);
}

void check_utf8(const std::string& path) {
  if (find_invalid_utf8(path) != std::string::npos)
    throw InputError(kvcast::quoted(path) + ": a sweep needs paths in UTF-8");
}

}  // namespace

std::string point_hash(const SweepManifest& manifest, const SweepPoint& point) {
  // Every part ends with a byte that none of them holds, so that no two lists of parts read alike.
  std::string text;
  const auto add = [&](std::string_view part) {
    text += part;
    text += '\0';
  };
  add(manifest.version);
  add(manifest.scenario.hash);
  for (const std::vector<Setting>* settings : {&manifest.settings, &point.settings}) {
    add(std::to_string(settings->size()));
    for (const Setting& setting : *settings) {
      add(setting.path);
      add(setting.value);
    }
  }
  add(std::to_string(point.seed));
  for (const std::size_t input : point.inputs) {
    add(manifest.inputs[input].path);
    add(manifest.inputs[input].hash);
  }
  return content_hash(text);
}

std::vector<Setting> settings_of(const SweepPoint& point) {
  std::vector<Setting> settings = point.settings;
  settings.push_back({"seed", std::to_string(point.seed)});
  return settings;
}

const Setting* varied_seed(const SweepPoint& point) {
  const auto seed = std::find_if(point.settings.begin(), point.settings.end(),
                                 [](const Setting& setting) { return setting.path == "seed"; });
  return seed == point.settings.end() ? nullptr : &*seed;
}

std::string to_json(const SweepManifest& manifest) {
  check_utf8(manifest.scenario.path);
  for (const InputHash& input : manifest.inputs) check_utf8(input.path);
  Json vary = Json::array();
  for (const Variation& variation : manifest.variations)
    vary.push_back({{"path", variation.path}, {"values", variation.values}});
  Json inputs = Json::array();
  for (const InputHash& input : manifest.inputs) inputs.push_back(json_of(input));
  std::string text = fmt::format(
      "{{\n\"kvcast_sweep\": {},\n\"version\": {},\n\"scenario\": {},\n\"set\": {},\n\"vary\": "
      "{},\n\"inputs\": "
      "{},\n\"points\": [",
      kManifestFormat, Json(manifest.version).dump(), json_of(manifest.scenario).dump(),
      json_of(manifest.settings).dump(), vary.dump(), inputs.dump());
  for (std::size_t i = 0; i < manifest.points.size(); ++i) {
    const SweepPoint& point = manifest.points[i];
    const Json line = {{"id", i},
                       {"settings", json_of(point.settings)},
                       {"seed", point.seed},
                       {"inputs", point.inputs},
                       {"hash", point.hash}};
    text += (i == 0 ? "\n" : ",\n") + line.dump();
  }
  return text + "\n]\n}\n";
}

SweepManifest parse_manifest(std::string_view text, const std::string& name) {
  check_text(text, name);
  const JsonValue root = parse_json(text, name);
  check_keys(name, root, {"kvcast_sweep", "version", "scenario", "set", "vary", "inputs", "points"});
  check_format(name, root, "kvcast_sweep", kManifestFormat);
  SweepManifest manifest;
  manifest.hash = content_hash(text);
  manifest.version = text_of(name, root, "version");
  manifest.scenario = read_input(name, member(name, root, "scenario", Type::object));
  manifest.settings = read_settings(name, member(name, root, "set", Type::array));
  for (const JsonValue& value : member(name, root, "vary", Type::array).items)
    manifest.variations.push_back(read_variation(name, value));
  for (const JsonValue& value : member(name, root, "inputs", Type::array).items)
    manifest.inputs.push_back(read_input(name, value));
  const JsonValue& points = member(name, root, "points", Type::array);
  if (points.items.empty()) fail(name, points, "there is no point");
  for (const JsonValue& value : points.items) manifest.points.push_back(read_point(name, value, manifest));
  return manifest;
}

std::string to_json(const SweepResult& result) {
  Json numbers = Json::object();
  for (const auto& [key, text] : result.numbers) numbers[key] = text.empty() ? Json() : Json::parse(text);
  const Json json = {{"id", result.point},
                     {"hash", result.hash},
                     {"status", result.status},
                     {"reason", result.reason},
                     {"numbers", std::move(numbers)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);  // reasons may name files in any bytes
}

SweepResult parse_result(std::string_view payload, const std::string& name, int line) {
  check_text(payload, name);
  const JsonValue root = parse_json(payload, name, line);
  check_keys(name, root, {"id", "hash", "status", "reason", "numbers"});
  SweepResult result;
  result.point = static_cast<std::size_t>(integer_of(name, root, "id", kSweepPointsMax));
  result.hash = text_of(name, root, "hash");
  result.status = text_of(name, root, "status");
  if (std::find(std::begin(kStatuses), std::end(kStatuses), result.status) == std::end(kStatuses))
    fail(name, root, "unknown status " + kvcast::quoted(result.status));
  result.reason = text_of(name, root, "reason");
  for (const auto& [key, value] : member(name, root, "numbers", Type::object).members)
    result.numbers.emplace_back(key, number_text(name, value));
  return result;
}

std::string to_json(const SweepLogHeader& header) {
  return Json{{"kvcast_sweep_log", kLogFormat}, {"manifest", header.manifest}}.dump();
}

SweepLogHeader parse_log_header(std::string_view payload, const std::string& name) {
  const JsonValue root = parse_json(payload, name);
  check_keys(name, root, {"kvcast_sweep_log", "manifest"});
  check_format(name, root, "kvcast_sweep_log", kLogFormat);
  return {text_of(name, root, "manifest")};
}

}  // namespace kvcast
