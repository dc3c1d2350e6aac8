# Installation: the command, the public headers, one static library of all rooms, the runtime alone (static and shared),
# targets, recipes and a CMake package.
#
#   cmake --install build/release --prefix PREFIX
#   find_package(Octet REQUIRED)  ...  target_link_libraries(app PRIVATE Octet::octet)
#
# The rooms become one archive, because their number and names are not a promise; what they need from Debian's packages
# is found again by OctetConfig.cmake.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Objects and outside libraries of all rooms.
include(OctetBundle)
get_property(octet_rooms GLOBAL PROPERTY OCTET_ROOMS)
# The rooms that know LibTorch are archives of their own, Octet::training, so that nobody else links LibTorch.
list(REMOVE_ITEM octet_rooms octet_training octet_training_loop)
octet_bundle_of("${octet_rooms}" octet_bundle_objects octet_bundle_needs)

# Header-only: used inside the rooms, not by those who link them.
list(REMOVE_ITEM octet_bundle_needs nlohmann_json::nlohmann_json Eigen3::Eigen)
# What OctetConfig.cmake.in finds; a new dependency of a room must be added in both places.
set(octet_config_knows Threads::Threads OpenMP::OpenMP_CXX JPEG::JPEG PNG::PNG ZLIB::ZLIB LibLZMA::LibLZMA yaml-cpp
  fmt::fmt octet_onnx_proto octet_dnnl octet_graphviz)
foreach(need ${octet_bundle_needs})
  if(NOT need IN_LIST octet_config_knows)
    message(FATAL_ERROR "A room links ${need}, which installed Octet would not find again: add it to "
      "cmake/OctetConfig.cmake.in and to octet_config_knows in cmake/OctetInstall.cmake")
  endif()
endforeach()

add_library(octet_bundle STATIC ${octet_bundle_objects})
set_target_properties(octet_bundle PROPERTIES OUTPUT_NAME octet LINKER_LANGUAGE CXX
  ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})

set(octet_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Octet)
set(octet_sanitize_flags "")
if(OCTET_SANITIZE)
  set(octet_sanitize_flags -fsanitize=${OCTET_SANITIZE})
endif()
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/OctetConfig.cmake.in ${PROJECT_BINARY_DIR}/OctetConfig.cmake
  INSTALL_DESTINATION ${octet_package_dir} PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/OctetConfigVersion.cmake COMPATIBILITY SameMinorVersion)

if(TARGET octet)
  install(TARGETS octet RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(TARGETS octet_bundle ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET octet-figures)
  install(TARGETS octet-figures RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(TARGET octet-training)
  install(TARGETS octet-training RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(TARGET octet_training)
  install(TARGETS octet_training octet_training_loop ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
if(TARGET octet_runtime)
  install(TARGETS octet_runtime octet_runtime_static LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/octet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/targets ${PROJECT_SOURCE_DIR}/recipes
  DESTINATION ${CMAKE_INSTALL_DATADIR}/octet FILES_MATCHING PATTERN *.yaml)
install(FILES ${PROJECT_BINARY_DIR}/OctetConfig.cmake ${PROJECT_BINARY_DIR}/OctetConfigVersion.cmake
  DESTINATION ${octet_package_dir})

if(OCTET_TESTS)
  add_subdirectory(${PROJECT_SOURCE_DIR}/tests/example)
endif()
