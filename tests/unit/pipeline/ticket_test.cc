// The proof of a lane that joins: it belongs to one session, one run of the source and one handshake, and no bit of it
// can be changed.
#include "pipeline/ticket.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace zferry::pipeline {
namespace {

class Tickets : public ::testing::Test {
 protected:
  SeededRandom random{1};
  seal::SecretBytes key = seal::SecretBytes::random(random);
  Transcript transcript = make_transcript();
  Ticket ticket{key, 7};

  Transcript make_transcript() {
    Transcript made;
    random.fill(made);
    return made;
  }
};

TEST_F(Tickets, BothEndsDeriveTheSame) {
  wire::Join join = ticket.join(transcript);
  Ticket other(key, 7);
  EXPECT_TRUE(other.proves(join, transcript));
  EXPECT_TRUE(ticket.proves(join, transcript));
  EXPECT_EQ(other.join(transcript).proof, join.proof);
  EXPECT_EQ(join.session, ticket.session());
  EXPECT_EQ(join.incarnation, 7u);
  EXPECT_FALSE(join.fresh());
}

TEST_F(Tickets, TheProofIsBoundToTranscriptSessionAndRun) {
  std::set<wire::Id> proofs;
  proofs.insert(ticket.join(transcript).proof);
  proofs.insert(ticket.join(make_transcript()).proof);
  proofs.insert(Ticket(key, 8).join(transcript).proof);
  seal::SecretBytes another = seal::SecretBytes::random(random);
  proofs.insert(Ticket(another, 7).join(transcript).proof);
  EXPECT_EQ(proofs.size(), 4u);
  EXPECT_NE(Ticket(another, 7).session(), ticket.session());
  EXPECT_EQ(Ticket(key, 8).session(), ticket.session()) << "a later run continues the session";

  EXPECT_FALSE(ticket.proves(ticket.join(transcript), make_transcript())) << "another lane's";
  EXPECT_FALSE(ticket.proves(Ticket(another, 7).join(transcript), transcript));
  // Another run's proof is a proof; which run may come in is for the link to say.
  EXPECT_TRUE(ticket.proves(Ticket(key, 8).join(transcript), transcript));
}

TEST_F(Tickets, NoBitMayDiffer) {
  const wire::Message good = wire::encode(ticket.join(transcript));
  int refused = 0;
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    wire::Message bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    auto join = wire::decode_join(bad);
    ASSERT_TRUE(join.ok());
    refused += !ticket.proves(*join, transcript);
  }
  EXPECT_EQ(refused, 72 * 8);
  for (std::size_t bit = 0; bit < transcript.size() * 8; ++bit) {
    Transcript bad = transcript;
    bad[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    EXPECT_FALSE(ticket.proves(ticket.join(transcript), bad));
  }
}

TEST_F(Tickets, NothingOnTheLinkTellsTheKey) {
  wire::Join join = ticket.join(transcript);
  for (const wire::Id& told : {join.session, join.proof}) {
    EXPECT_FALSE(std::equal(told.begin(), told.end(), key.bytes().begin()));
    EXPECT_NE(told, wire::Id{});
  }
  EXPECT_FALSE(ticket.proves(wire::Join{}, transcript));
  EXPECT_FALSE(ticket.proves(wire::Join{join.session, join.incarnation, join.session}, transcript));
}

}  // namespace
}  // namespace zferry::pipeline
