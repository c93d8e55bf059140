#include "hwmodels/calibration_file.h"

#include <fmt/format.h>

#include <filesystem>

#include "hwmodels/json_fields.h"
#include "sim/base/embedded.h"
#include "sim/base/error.h"
#include "sim/base/file.h"

namespace kvcast {
namespace {

constexpr std::string_view kFolder = "configs/calibrations/";
constexpr std::string_view kEnding = ".jsonl";
constexpr std::size_t kBytesMax = std::size_t{256} << 20;

CalibrationHeader read_header(const JsonValue& object, const std::string& name) {
  CalibrationHeader header;
  JsonFields fields(object, name);
  const std::int64_t version = fields.integer("schema_version", 1);
  if (version != CalibrationHeader::kSchemaVersion) {
    fields.fail("schema_version", fmt::format("this version of kvcast reads {}, not {}",
                                              CalibrationHeader::kSchemaVersion, version));
  }
  header.kind = fields.text("kind");
  if (header.kind != "kernels" && header.kind != "steps" && header.kind != "layers")
    fields.fail("kind", fmt::format("unknown kind \"{}\"{}", header.kind,
                                    known_names(header.kind, {"kernels", "layers", "steps"})));
  header.device = fields.child("device").text("name");
  header.engine = fields.text_or("engine", "");
  header.source = fields.text("source");
  header.created_by = fields.text_or("created_by", "");
  if (fields.has("notes")) header.notes = fields.texts("notes");
  header.raw = object;
  return header;
}

/// The only member of a line's object. \throws InputError where there is none or more than one
const std::pair<std::string, JsonValue>& only_member(const JsonValue& line, const std::string& name) {
  if (line.type != JsonValue::Type::object || line.members.size() != 1) {
    throw InputError(fmt::format("{}:{}:{}: each line is one object with one key: calibration, fit or record",
                                 name, line.line, line.column),
                     ExitCode::bad_data);
  }
  return line.members.front();
}

void add_line(const JsonValue& line, CalibrationFile& file) {
  const auto& [key, value] = only_member(line, file.name);
  if (key == "fit") {
    file.fits.push_back({value, line.line});
  } else if (key == "record") {
    file.records.push_back({value, line.line});
  } else {
    throw InputError(fmt::format("{}:{}:{}: unknown key \"{}\"{}", file.name, line.line, value.column, key,
                                 known_names(key, {"fit", "record"})),
                     ExitCode::bad_data);
  }
}

std::string short_name(std::string_view path) {
  if (path.starts_with(kFolder)) path.remove_prefix(kFolder.size());
  if (path.ends_with(kEnding)) path.remove_suffix(kEnding.size());
  return std::string(path);
}

}  // namespace

CalibrationFile parse_calibration(std::string_view text, const std::string& name) {
  CalibrationFile file;
  file.name = name;
  bool has_header = false;
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const JsonValue value = parse_json(line, name, number);
    if (has_header) {
      add_line(value, file);
      continue;
    }
    const auto& [key, object] = only_member(value, name);
    if (key != "calibration")
      throw InputError(fmt::format("{}:{}:1: the first line of a calibration is {{\"calibration\": {{...}}}}",
                                   name, number),
                       ExitCode::bad_data);
    file.header = read_header(object, name);
    has_header = true;
  }
  if (!has_header)
    throw InputError(name + ":1:1: the file is empty; a calibration begins with its header",
                     ExitCode::bad_data);
  return file;
}

CalibrationFile load_calibration(const std::string& path_or_name, const std::string& where) {
  std::error_code error;
  if (std::filesystem::exists(path_or_name, error))
    return parse_calibration(read_file(path_or_name, kBytesMax, ExitCode::bad_data), path_or_name);
  const std::string wanted = short_name(path_or_name);
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.path.starts_with(kFolder) && short_name(file.path) == wanted)
      return parse_calibration(file.text, "embedded:" + std::string(file.path));
  }
  throw InputError(fmt::format("{}{}: there is no such file, and no built-in calibration of this name{}",
                               where.empty() ? "" : where + ": ", path_or_name,
                               known_names(wanted, list_calibrations())));
}

std::optional<CalibrationFile> find_calibration(const std::string& kind, const std::string& device,
                                                const std::string& engine) {
  const EmbeddedFile* found = nullptr;
  for (const EmbeddedFile& file : embedded_files()) {
    if (!file.path.starts_with(kFolder) || !file.path.ends_with(kEnding)) continue;
    const std::string_view first = file.text.substr(0, file.text.find('\n'));
    const CalibrationHeader header = parse_calibration(first, std::string(file.path)).header;
    if (header.kind == kind && header.device == device && header.engine.starts_with(engine + " "))
      found = &file;
  }
  if (found == nullptr) return std::nullopt;
  return parse_calibration(found->text, "embedded:" + std::string(found->path));
}

std::vector<std::string> list_calibrations() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.path.starts_with(kFolder) && file.path.ends_with(kEnding))
      names.push_back(short_name(file.path));
  }
  return names;
}

std::string format_calibration_header(const CalibrationHeader& header, std::string_view extra) {
  std::string notes;
  for (const std::string& note : header.notes) notes += (notes.empty() ? "" : ", ") + json_quoted(note);
  return fmt::format(
      "{{\"calibration\": {{\"schema_version\": {}, \"kind\": {}, \"device\": {{\"name\": {}}}{}, "
      "\"source\": {}, "
      "\"created_by\": {}{}{}}}}}",
      CalibrationHeader::kSchemaVersion, json_quoted(header.kind), json_quoted(header.device),
      header.engine.empty() ? "" : ", \"engine\": " + json_quoted(header.engine), json_quoted(header.source),
      json_quoted(header.created_by), notes.empty() ? "" : ", \"notes\": [" + notes + "]", extra);
}

}  // namespace kvcast
