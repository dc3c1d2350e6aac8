#include "base/launch.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace octet {
namespace {

using Variables = std::map<std::string, std::string>;

Result<Launch> read(const Variables& variables) {
  return read_launch([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

void expect_refused(const Variables& variables, const std::vector<std::string>& words) {
  const Result<Launch> launch = read(variables);
  ASSERT_FALSE(launch.is_ok()) << words[0];
  EXPECT_EQ(launch.status().code(), StatusCode::kInvalidArgument);
  for (const std::string& word : words)
    EXPECT_NE(launch.status().message().find(word), std::string::npos) << launch.status().message();
}

TEST(Launch, WithoutVariablesAProcessIsAlone) {
  EXPECT_TRUE(read({})->is_alone());
  EXPECT_TRUE(read({{"RANK", "0"}, {"WORLD_SIZE", "1"}})->is_alone());
  EXPECT_TRUE(read({{"MASTER_ADDR", "127.0.0.1"}, {"LOCAL_RANK", "3"}})->is_alone());
  // A batch script of Slurm is no process of a job, whatever it asked for.
  EXPECT_TRUE(read({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}})->is_alone());
}

TEST(Launch, VariablesOfTorchrun) {
  const Variables all = {{"RANK", "5"},           {"WORLD_SIZE", "8"},
                         {"LOCAL_RANK", "1"},     {"MASTER_ADDR", "10.0.0.1"},
                         {"MASTER_PORT", "1234"}, {"OCTET_PROCESS_TIMEOUT", "7"}};
  const Result<Launch> l = read(all);
  ASSERT_TRUE(l.is_ok()) << l.status().message();
  EXPECT_EQ(l->rank, 5);
  EXPECT_EQ(l->size, 8);
  EXPECT_EQ(l->local_rank, 1);
  EXPECT_EQ(l->address, "10.0.0.1");
  EXPECT_EQ(l->port, 1234);
  EXPECT_EQ(l->timeout.count(), 7);
  // They come before those of a surrounding mpirun.
  Variables nested = all;
  nested["OMPI_COMM_WORLD_RANK"] = "0";
  nested["OMPI_COMM_WORLD_SIZE"] = "2";
  EXPECT_EQ(read(nested)->size, 8);
}

TEST(Launch, VariablesOfMpirunAndSrun) {
  const Result<Launch> ompi = read({{"OMPI_COMM_WORLD_RANK", "1"},
                                    {"OMPI_COMM_WORLD_SIZE", "4"},
                                    {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                    {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}});
  ASSERT_TRUE(ompi.is_ok()) << ompi.status().message();
  EXPECT_EQ(ompi->address, "127.0.0.1");
  EXPECT_EQ(ompi->port, 29500);
  const Result<Launch> pmi =
      read({{"PMI_RANK", "2"}, {"PMI_SIZE", "3"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "77"}});
  ASSERT_TRUE(pmi.is_ok()) << pmi.status().message();
  EXPECT_EQ(pmi->rank, 2);
  EXPECT_EQ(pmi->local_rank, 2);
  const Result<Launch> srun = read({{"SLURM_PROCID", "3"},
                                    {"SLURM_NTASKS", "4"},
                                    {"SLURM_STEP_ID", "0"},
                                    {"SLURM_LOCALID", "1"},
                                    {"MASTER_ADDR", "node1"},
                                    {"MASTER_PORT", "77"}});
  ASSERT_TRUE(srun.is_ok()) << srun.status().message();
  EXPECT_EQ(srun->rank, 3);
  EXPECT_EQ(srun->local_rank, 1);
  expect_refused({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}},
                 {"MASTER_ADDR"});
}

TEST(Launch, VariablesThatDoNotFitAreNamed) {
  expect_refused({{"RANK", "2"}, {"WORLD_SIZE", "2"}}, {"RANK=2", "WORLD_SIZE=2", "0 to 1"});
  expect_refused({{"RANK", "1"}}, {"RANK is set and WORLD_SIZE is not"});
  expect_refused({{"WORLD_SIZE", "2"}}, {"WORLD_SIZE is set and RANK is not"});
  expect_refused({{"RANK", "-1"}, {"WORLD_SIZE", "2"}}, {"RANK='-1'"});
  expect_refused({{"RANK", "0"}, {"WORLD_SIZE", "two"}}, {"WORLD_SIZE='two'"});
  expect_refused({{"RANK", "0"}, {"WORLD_SIZE", "0"}}, {"WORLD_SIZE='0'"});
  expect_refused({{"RANK", "0"}, {"WORLD_SIZE", "99999999999999999999"}}, {"WORLD_SIZE"});
  expect_refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}}, {"MASTER_ADDR"});
  expect_refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}}, {"MASTER_PORT"});
  expect_refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", "70000"}},
                 {"MASTER_PORT='70000'"});
  expect_refused({{"RANK", "0"},
                  {"WORLD_SIZE", "2"},
                  {"MASTER_ADDR", "127.0.0.1"},
                  {"MASTER_PORT", "1"},
                  {"OCTET_PROCESS_TIMEOUT", "soon"}},
                 {"OCTET_PROCESS_TIMEOUT='soon'"});
}

}  // namespace
}  // namespace octet
