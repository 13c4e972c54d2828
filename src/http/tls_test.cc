#include "http/tls.h"

#include <sys/stat.h>

#include <filesystem>

#include "http/body_pipe.h"
#include "http/live_server.h"
#include "http/memory_stream.h"
#include "http/openssl_handles.h"
#include "sys/file.h"

namespace mayfly::http {
namespace {

class Folder {
 public:
  Folder() : path_(testing::TempDir() + "mayfly-tls-XXXXXX") { MAYFLY_CHECK(::mkdtemp(path_.data()) != nullptr); }
  ~Folder() { sys::remove_tree(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A blocking OpenSSL client that trusts one authority and wants the server to be `name`.
class TlsClient {
 public:
  TlsClient(uint16_t port, const Authority& authority, const std::string& name, int version = TLS1_3_VERSION) : wire_(port), context_(SSL_CTX_new(TLS_client_method())) {
    Bio bio = memory_bio(authority.certificate_pem);
    X509Handle root(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), root.get());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    ssl_.reset(SSL_new(context_.get()));
    in_addr v4;
    if (::inet_pton(AF_INET, name.c_str(), &v4) == 1) {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), name.c_str());
    } else {
      SSL_set1_host(ssl_.get(), name.c_str());
    }
    static constexpr unsigned char kOffer[] = "\x02h2\x08http/1.1";
    SSL_set_alpn_protos(ssl_.get(), kOffer, sizeof kOffer - 1);
    SSL_set_fd(ssl_.get(), wire_.fd());
    connected_ = SSL_connect(ssl_.get()) == 1;
  }
  bool connected() const { return connected_; }
  std::string protocol() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  void send(std::string_view bytes) { EXPECT_EQ(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())), static_cast<int>(bytes.size())); }
  std::string read_rest() {
    std::string all;
    char buffer[16384];
    for (int got; (got = SSL_read(ssl_.get(), buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<size_t>(got));
    said_goodbye_ = SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN;
    return all;
  }
  bool said_goodbye() const { return said_goodbye_; }
  // Until `mark` has arrived (included), or the end.
  std::string read_until(std::string_view mark) {
    std::string got;
    for (char c; got.find(mark) == std::string::npos && SSL_read(ssl_.get(), &c, 1) == 1;) got += c;
    return got;
  }
  void say_goodbye() { EXPECT_EQ(SSL_shutdown(ssl_.get()), 0); }
  // Whether the connection below broke, with nothing left to read.
  bool was_reset() {
    char byte;
    return ::recv(wire_.fd(), &byte, 1, 0) < 0 && errno == ECONNRESET;
  }

 private:
  Wire wire_;
  SslContext context_;
  Ssl ssl_;
  bool connected_ = false;
  bool said_goodbye_ = false;
};

io::Task<Response> echo(Request request) {
  Response response{.stream = std::move(request.body)};
  response.headers.add("X-Scheme", request.scheme);
  co_return response;
}

TEST(Tls, ServesEveryNameOfItsCertificateAndNoOther) {
  Folder folder;
  Authority authority = open_authority(folder.path());
  Certificate certificate = issue_certificate(authority, {"oss.test", "*.oss.test", "127.0.0.1", "::1"});
  LiveServer live(echo, {}, make_tls_context(certificate.chain_pem, certificate.private_key_pem));
  for (const char* name : {"oss.test", "bucket.oss.test", "127.0.0.1"}) {
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      TlsClient client(live.port(), authority, name, version);
      ASSERT_TRUE(client.connected()) << name;
      EXPECT_EQ(client.protocol(), "http/1.1");
      client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
      std::string response = client.read_rest();
      EXPECT_TRUE(response.ends_with("\r\n\r\nhi")) << response;
      EXPECT_NE(response.find("\r\nX-Scheme: https\r\n"), std::string::npos);
      EXPECT_TRUE(client.said_goodbye());
    }
  }
  for (const char* name : {"other.test", "a.b.oss.test", "127.0.0.2"}) EXPECT_FALSE(TlsClient(live.port(), authority, name).connected()) << name;
  Folder elsewhere;
  EXPECT_FALSE(TlsClient(live.port(), open_authority(elsewhere.path()), "oss.test").connected());
}

TEST(Tls, CarriesLargeBodiesBothWays) {
  Folder folder;
  Authority authority = open_authority(folder.path());
  Certificate certificate = issue_certificate(authority, {"oss.test"});
  LiveServer live(echo, {}, make_tls_context(certificate.chain_pem, certificate.private_key_pem));
  TlsClient client(live.port(), authority, "oss.test");
  ASSERT_TRUE(client.connected());
  // The client is one blocking thread: what it sends must fit the sockets' buffers on the way back.
  std::string body(150'000, 'x');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 2654435761u >> 11);
  client.send(fmt::format("PUT / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.size()) + body);
  EXPECT_TRUE(client.read_rest().ends_with(body));
}

constexpr int kVersions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

TEST(Tls, SaysGoodbyeBehindAStreamedAnswerThoughAReadIsWaiting) {
  Folder folder;
  Authority authority = open_authority(folder.path());
  Certificate certificate = issue_certificate(authority, {"oss.test"});
  LiveServer live(echo, {}, make_tls_context(certificate.chain_pem, certificate.private_key_pem));
  for (int version : kVersions) {
    TlsClient client(live.port(), authority, "oss.test", version);
    ASSERT_TRUE(client.connected());
    client.send("PUT / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    EXPECT_TRUE(client.read_rest().ends_with("2\r\nhi\r\n0\r\n\r\n"));
    EXPECT_TRUE(client.said_goodbye());
  }
}

// The far side of a tunnel: says "bye" and hangs up, `listens` says whether its client must have done so first.
struct FarSide {
  bool listens = false;
  io::Loop* loop = nullptr;
  std::unique_ptr<io::TaskGroup> tasks{};
};
io::Task<void> hang_up(std::unique_ptr<io::Stream> stream, bool listens) {
  char buffer[64];
  while (listens) {
    auto got = co_await stream->read_some(buffer, io::Deadline::never());
    listens = got && *got > 0;
  }
  (void)co_await stream->write_all("bye", io::Deadline::never());
}
io::Task<Response> open_tunnel(FarSide* far, Request) {
  auto pair = make_memory_pair(*far->loop);
  far->tasks->spawn(hang_up(std::move(pair.b), far->listens));
  Response response{.status = 101, .tunnel = std::move(pair.a)};
  response.headers.add("Upgrade", "talk");
  co_return response;
}

TEST(Tls, ATunnelEndsWithAGoodbyeWhoeverHangsUpFirst) {
  Folder folder;
  Authority authority = open_authority(folder.path());
  Certificate certificate = issue_certificate(authority, {"oss.test"});
  auto context = make_tls_context(certificate.chain_pem, certificate.private_key_pem);
  for (bool client_first : {false, true}) {
    FarSide far{.listens = client_first};
    LiveServer live([&far](Request request) { return open_tunnel(&far, std::move(request)); }, {}, context);
    far.loop = &live.shard();
    far.tasks = std::make_unique<io::TaskGroup>(live.shard());
    for (int version : kVersions) {
      TlsClient client(live.port(), authority, "oss.test", version);
      ASSERT_TRUE(client.connected());
      client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: talk\r\n\r\n");
      EXPECT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
      if (client_first) client.say_goodbye();
      EXPECT_EQ(client.read_rest(), "bye");
      EXPECT_TRUE(client.said_goodbye()) << client_first << version;
    }
  }
}

// Sends a piece of an answer and keeps the rest.
struct Half {
  io::Loop* loop = nullptr;
  std::shared_ptr<BodyPipe> pipe{};
};
io::Task<Response> send_half(Half* half, Request) {
  half->pipe = BodyPipe::make(*half->loop);
  half->pipe->push("half");
  co_return Response{.stream = half->pipe->reader()};
}

TEST(Tls, HalfAnAnswerIsNotEndedLikeAWholeOne) {
  Folder folder;
  Authority authority = open_authority(folder.path());
  Certificate certificate = issue_certificate(authority, {"oss.test"});
  Half half;
  LiveServer live([&half](Request request) { return send_half(&half, std::move(request)); }, {}, make_tls_context(certificate.chain_pem, certificate.private_key_pem));
  half.loop = &live.shard();
  TlsClient client(live.port(), authority, "oss.test");
  ASSERT_TRUE(client.connected());
  client.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(client.read_until("half").ends_with("half"));
  live.shard().post([&half] { half.pipe->fail(BodyError::disconnected); });
  EXPECT_TRUE(client.was_reset());
}

TEST(Tls, DropsAClientThatSpeaksSomethingElse) {
  Folder folder;
  Authority authority = open_authority(folder.path());
  Certificate certificate = issue_certificate(authority, {"oss.test"});
  LiveServer live(echo, {}, make_tls_context(certificate.chain_pem, certificate.private_key_pem));
  EXPECT_EQ(live.talk("GET / HTTP/1.1\r\nHost: h\r\n\r\n").find("HTTP/1.1 200"), std::string::npos);
}

TEST(Authority, IsMadeOnceAndItsKeyIsTheOwnersAlone) {
  Folder folder;
  std::string data = folder.path() + "/data";
  Authority first = open_authority(data);
  Authority second = open_authority(data);
  EXPECT_EQ(first.certificate_pem, second.certificate_pem);
  EXPECT_EQ(first.private_key_pem, second.private_key_pem);
  struct stat status{};
  ASSERT_EQ(::stat((data + "/authority.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(Authority, RefusesAKeyThatIsNotItsOwn) {
  Folder folder, other;
  open_authority(folder.path());
  sys::write_file(folder.path() + "/authority.key", open_authority(other.path()).private_key_pem, 0600);
  EXPECT_THROW(open_authority(folder.path()), sys::Fault);
  sys::write_file(folder.path() + "/authority.key", "nonsense", 0600);
  EXPECT_THROW(open_authority(folder.path()), sys::Fault);
}

TEST(Authority, IssuesNothingForANameThatHidesAnother) {
  Folder folder;
  Authority authority = open_authority(folder.path());
  EXPECT_THROW(issue_certificate(authority, {"a.test,DNS:b.test"}), sys::Fault);
  EXPECT_THROW(issue_certificate(authority, {""}), sys::Fault);
  EXPECT_THROW(make_tls_context("nonsense", "nonsense"), sys::Fault);
}

}  // namespace
}  // namespace mayfly::http
