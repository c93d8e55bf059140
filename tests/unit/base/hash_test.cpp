#include "sim/base/hash.h"

#include <unistd.h>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/unit/base/message.h"

namespace kvcast {
namespace {

BOOST_AUTO_TEST_SUITE(hash)

// From the xxHash project's own test vectors and command line (xxhsum -H3).
BOOST_AUTO_TEST_CASE(known_answers) {
  BOOST_TEST(content_hash("") == "2d06800538d394c2");
  BOOST_TEST(content_hash("a") == "e6c632b61e964e1f");
  BOOST_TEST(content_hash("abc") == "78af5f94892f3950");
  BOOST_TEST(hash64("abc") == 0x78af5f94892f3950ULL);
}

BOOST_AUTO_TEST_CASE(a_file_hashes_as_its_bytes_in_pieces_of_any_size) {
  const auto path =
      std::filesystem::temp_directory_path() / ("kvcast_hash_test_" + std::to_string(::getpid()));
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1} << 18,
                                 (std::size_t{1} << 18) + 1, std::size_t{1'000'003}}) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 2654435761U >> 13);
    std::ofstream(path, std::ios::binary) << bytes;
    BOOST_TEST(file_hash(path.string()) == content_hash(bytes), size << " bytes");
  }
  std::filesystem::remove(path);
}

BOOST_AUTO_TEST_CASE(unreadable_files) {
  BOOST_TEST(message_of([] { static_cast<void>(file_hash("/nowhere/x")); }) ==
             "/nowhere/x: cannot be opened: No such file or directory");
  BOOST_TEST(message_of([] { static_cast<void>(file_hash("/")); }).starts_with("/: cannot be read: "));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
