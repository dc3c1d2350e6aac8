#include "cli/report_files.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "base/files.h"
#include "octet/report.h"

namespace octet::cli {
namespace {

constexpr const char* kProgram = "octet-figures";

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

void add_report_option(CLI::App& command, std::string* folder, const std::string& file) {
  command.add_option("--report", *folder,
                     "also save the result as " + file + " in this folder and make its report.html anew");
}

Status add_to_report(const std::string& folder, const std::string& name, const std::string& json) {
  if (folder.empty()) return Status::ok();
  OCTET_RETURN_IF_ERROR(make_directories(folder));
  OCTET_RETURN_IF_ERROR(write_file_atomically(folder + "/" + name + ".json", json + "\n"));
  return write_report(folder);
}

Status write_figures(const std::string& folder, const std::string& data) {
  std::error_code error;
  const std::string program =
      (std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / kProgram).string();
  if (!std::filesystem::exists(program, error))
    return unsupported("--figures needs '" + program +
                       "', which was not built: install Debian's libmozjs-102-dev and build Octet again");
  int ends[2];
  if (::pipe(ends) != 0) return io_error(std::string("no pipe could be opened: ") + std::strerror(errno));
  std::signal(SIGPIPE, SIG_IGN);  // a child that ends early is told by its exit code
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[0], STDIN_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    ::execl(program.c_str(), program.c_str(), folder.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::close(ends[0]);
  const bool written = child > 0 && write_all(ends[1], data);
  ::close(ends[1]);
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) < 0) return io_error("'" + program + "' could not be started");
  if (!written || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return io_error("'" + program + "' did not finish; what went wrong stands above");
  return Status::ok();
}

}  // namespace octet::cli
