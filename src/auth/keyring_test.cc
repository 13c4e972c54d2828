#include "auth/keyring.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/encoding.h"
#include "base/hash.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::auth {
namespace {

struct Folder {
  std::string path = testing::TempDir() + "keyring_" + SystemRng().hex(12);
  ~Folder() { sys::remove_tree(path); }
};

TEST(Keyring, MakesKeysOnceAndKeepsThemPrivate) {
  Folder folder;
  SeededRng rng(1);
  const auto first = Keyring::open(folder.path, rng);
  EXPECT_TRUE(first.created());
  EXPECT_EQ(first.account().size(), 16u);
  EXPECT_EQ(first.account().find_first_not_of("0123456789"), std::string::npos);
  struct stat status {};
  ASSERT_EQ(stat((folder.path + "/keys.json").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);

  const auto second = Keyring::open(folder.path, rng);
  EXPECT_FALSE(second.created());
  EXPECT_EQ(second.root_id(), first.root_id());
  EXPECT_EQ(second.root_secret(), first.root_secret());
  EXPECT_EQ(second.account(), first.account());
}

TEST(Keyring, TemporaryCredentialsSurviveARestart) {
  Folder folder;
  SeededRng rng(2);
  ManualClock clock;
  const auto credentials = Keyring::open(folder.path, rng).issue("worker", "session-1", 900, clock, rng);
  EXPECT_TRUE(credentials.access_key_id.starts_with("STS."));
  const auto known = Keyring::open(folder.path, rng).find(credentials.access_key_id, credentials.security_token, clock);
  ASSERT_TRUE(known);
  EXPECT_EQ(known->secret, credentials.access_key_secret);
  EXPECT_EQ(known->identity.kind, Identity::Kind::role);
  EXPECT_EQ(known->identity.role, "worker");
  EXPECT_EQ(known->identity.session, "session-1");
}

TEST(Keyring, RefusesAKeyFileItCannotRead) {
  Folder folder;
  SeededRng rng(3);
  sys::make_folders(folder.path);
  for (const char* text : {"{", "{}", R"({"accountId":"1","accessKeyId":"A","accessKeySecret":"S","masterKey":"00"})"}) {
    sys::write_file(folder.path + "/keys.json", text);
    EXPECT_THROW(Keyring::open(folder.path, rng), sys::Fault) << text;
  }
}

class Token : public testing::Test {
 protected:
  ManualClock clock_;
  SeededRng rng_{4};
  Keyring keyring_ = Keyring::make("1234", "AK", "SK", std::string(32, 'm'));
  Credentials credentials_ = keyring_.issue("worker", "s", 900, clock_, rng_);

  AuthError refusal(const std::string& id, const std::string& token) {
    const auto known = keyring_.find(id, token, clock_);
    EXPECT_FALSE(known.has_value());
    return known ? AuthError::missing : known.error().code;
  }
};

TEST_F(Token, NoCharacterOfItCanChange) {
  for (size_t i = 0; i < credentials_.security_token.size(); ++i) {
    std::string token = credentials_.security_token;
    token[i] = token[i] == 'A' ? 'B' : 'A';
    EXPECT_EQ(refusal(credentials_.access_key_id, token), AuthError::bad_token) << i;
  }
  EXPECT_EQ(refusal(credentials_.access_key_id, credentials_.security_token + "A"), AuthError::bad_token);
  EXPECT_EQ(refusal(credentials_.access_key_id, ""), AuthError::bad_token);
  EXPECT_EQ(refusal(credentials_.access_key_id, "no dot"), AuthError::bad_token);
  EXPECT_EQ(refusal(credentials_.access_key_id, "."), AuthError::bad_token);
}

TEST_F(Token, BelongsToOneKeyAndOneServer) {
  const auto other = keyring_.issue("worker", "s", 900, clock_, rng_);
  EXPECT_EQ(refusal(other.access_key_id, credentials_.security_token), AuthError::bad_token);
  const auto elsewhere = Keyring::make("1234", "AK", "SK", std::string(32, 'x'));
  EXPECT_EQ(elsewhere.find(credentials_.access_key_id, credentials_.security_token, clock_).error().code, AuthError::bad_token);
}

TEST_F(Token, Expires) {
  clock_.advance_us(900 * kMicrosPerSecond - 1);
  EXPECT_TRUE(keyring_.find(credentials_.access_key_id, credentials_.security_token, clock_));
  clock_.advance_us(1);
  EXPECT_EQ(refusal(credentials_.access_key_id, credentials_.security_token), AuthError::bad_token);
}

TEST_F(Token, CarriesItsSessionPolicy) {
  const std::string policy(2'048, '"');
  const auto narrowed = keyring_.issue("worker", "s", 900, clock_, rng_, policy);
  EXPECT_EQ(keyring_.find(narrowed.access_key_id, narrowed.security_token, clock_)->identity.session_policy, policy);
  EXPECT_EQ(keyring_.find(credentials_.access_key_id, credentials_.security_token, clock_)->identity.session_policy, "");
}

TEST_F(Token, TheRootKeyHasNone) {
  EXPECT_EQ(keyring_.find("AK", "", clock_)->secret, "SK");
  EXPECT_EQ(refusal("AK", credentials_.security_token), AuthError::bad_token);
  EXPECT_EQ(refusal("BK", ""), AuthError::unknown_key);
  EXPECT_EQ(refusal("", ""), AuthError::missing);
}

}  // namespace
}  // namespace mayfly::auth
