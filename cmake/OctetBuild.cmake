# Compiler settings and the two functions that every room uses: octet_room() and octet_test().
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(octet_flags INTERFACE)
target_include_directories(octet_flags INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>)
# -Wrestrict is off: GCC 12 warns of overlaps in plain std::string concatenation (GCC bug 105329).
# No contraction into FMA: the same expression must give the same bits in scalar and vector code (contract 1).
target_compile_options(octet_flags INTERFACE
  -Wall -Wextra -Wno-missing-field-initializers -Wno-psabi -Wno-restrict -ffp-contract=off $<$<BOOL:${OCTET_WERROR}>:-Werror>)
if(OCTET_SANITIZE)
  target_compile_options(octet_flags INTERFACE
    -fsanitize=${OCTET_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(octet_flags INTERFACE -fsanitize=${OCTET_SANITIZE})
endif()

if(OCTET_FUZZ)
  # Coverage for libFuzzer in every room; the fuzzers themselves link its main (fuzz/CMakeLists.txt).
  target_compile_options(octet_flags INTERFACE
    -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(octet_flags INTERFACE -fsanitize=address,undefined)
endif()

# octet_room(NAME SOURCES a.cpp b.cpp USES lower rooms and libraries)
# A room is one static library, octet_NAME; USES is the whole list of what it may include.
function(octet_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  add_library(octet_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(octet_${name} PUBLIC ${ARG_USES} PRIVATE octet_flags)
  target_include_directories(octet_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>)
  set_property(GLOBAL APPEND PROPERTY OCTET_ROOMS octet_${name})
endfunction()

# octet_test(NAME SOURCES a.cpp USES rooms): one GoogleTest program for a room, one ctest entry.
function(octet_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  add_executable(octet_test_${name} ${ARG_SOURCES})
  target_link_libraries(octet_test_${name} PRIVATE ${ARG_USES} GTest::gtest GTest::gtest_main octet_flags)
  target_include_directories(octet_test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(octet_test_${name} PRIVATE OCTET_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    OCTET_BINARY_DIR="${PROJECT_BINARY_DIR}")
  add_test(NAME ${name} COMMAND octet_test_${name} --gtest_brief=1)
  set_tests_properties(${name} PROPERTIES TIMEOUT 600)
endfunction()
