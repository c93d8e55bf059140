#include "sim/app/outputs.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/base/error.h"
#include "tests/support/temporary_folder.h"

namespace kvcast {
namespace {
namespace fs = std::filesystem;

using Folder = test::TemporaryFolder;

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void put(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

BOOST_AUTO_TEST_SUITE(outputs)

BOOST_AUTO_TEST_CASE(commit_replaces_the_target_and_leaves_nothing_else) {
  const Folder folder;
  put(folder.file("result.json"), "old");
  OutputFile out(folder.file("result.json"));
  out.write("new");
  BOOST_TEST(content(folder.file("result.json")) == "old");
  out.commit();
  BOOST_TEST(content(folder.file("result.json")) == "new");
  BOOST_TEST(folder.count() == 1);
}

BOOST_AUTO_TEST_CASE(without_commit_the_old_target_stays_and_nothing_is_left) {
  const Folder folder;
  put(folder.file("result.json"), "old");
  {
    OutputFile out(folder.file("result.json"));
    out.write("half");
  }
  BOOST_TEST(content(folder.file("result.json")) == "old");
  BOOST_TEST(folder.count() == 1);
}

BOOST_AUTO_TEST_CASE(a_link_is_written_through) {
  const Folder folder;
  put(folder.file("real"), "old");
  fs::create_symlink("real", folder.path() / "link");
  OutputFile out(folder.file("link"));
  out.write("new");
  out.commit();
  BOOST_TEST(fs::is_symlink(folder.path() / "link"));
  BOOST_TEST(content(folder.file("real")) == "new");
}

BOOST_AUTO_TEST_CASE(a_device_is_not_replaced_by_a_file) {
  OutputFile out("/dev/null");
  BOOST_TEST(out.write_path() == "/dev/null");
  out.write("text");
  out.commit();
  BOOST_TEST(fs::is_character_file("/dev/null"));
}

BOOST_AUTO_TEST_CASE(who_opens_the_file_himself_keeps_its_extension) {
  const Folder folder;
  OutputFile out(folder.file("rows.csv"));
  BOOST_TEST(fs::path(out.write_path()).extension().string() == ".csv");
  BOOST_TEST(fs::path(out.write_path()).parent_path() == folder.path());
  put(out.write_path(), "a,b\n");
  out.commit();
  BOOST_TEST(content(folder.file("rows.csv")) == "a,b\n");
}

BOOST_AUTO_TEST_CASE(impossible_targets_are_refused_before_anything_is_written) {
  const Folder folder;
  const auto names = [](const std::string& path, const char* part) {
    return [path, part](const InputError& error) {
      const std::string text = error.what();
      return text.starts_with(path) && text.find(part) != std::string::npos;
    };
  };
  BOOST_CHECK_EXCEPTION(OutputFile(folder.file("no/such/file")), InputError,
                        names(folder.file("no/such/file"), "No such file"));
  BOOST_CHECK_EXCEPTION(OutputFile(folder.path().string()), InputError,
                        names(folder.path().string(), "Is a directory"));
  BOOST_TEST(folder.count() == 0);
}

BOOST_AUTO_TEST_CASE(an_interrupt_leaves_no_half_written_file) {
  const Folder folder;
  put(folder.file("result.json"), "old");
  const pid_t child = fork();
  if (child == 0) {
    install_interrupt_handlers();
    OutputFile out(folder.file("result.json"));
    OutputFile other(folder.file("rows.csv"));
    out.write("half");
    (void)raise(SIGINT);
    _exit(0);
  }
  int status = 0;
  BOOST_REQUIRE(waitpid(child, &status, 0) == child);
  BOOST_TEST(WIFEXITED(status));
  BOOST_TEST(WEXITSTATUS(status) == 130);
  BOOST_TEST(content(folder.file("result.json")) == "old");
  BOOST_TEST(folder.count() == 1);
}

BOOST_AUTO_TEST_CASE(a_termination_cleans_up_and_ends_as_usual) {
  const Folder folder;
  const pid_t child = fork();
  if (child == 0) {
    install_interrupt_handlers();
    const OutputFile out(folder.file("result.json"));
    (void)raise(SIGTERM);
    _exit(0);
  }
  int status = 0;
  BOOST_REQUIRE(waitpid(child, &status, 0) == child);
  BOOST_TEST(WIFSIGNALED(status));
  BOOST_TEST(WTERMSIG(status) == SIGTERM);
  BOOST_TEST(folder.count() == 0);
}

BOOST_AUTO_TEST_CASE(more_files_than_an_interrupt_could_clean_are_refused) {
  const Folder folder;
  std::vector<std::unique_ptr<OutputFile>> files;
  const auto open_many = [&] {
    for (int i = 0; i < 100; ++i)
      files.push_back(std::make_unique<OutputFile>(folder.file(std::to_string(i))));
  };
  BOOST_CHECK_THROW(open_many(), InputError);
  BOOST_TEST(folder.count() == files.size());
  files.clear();
  BOOST_TEST(folder.count() == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
