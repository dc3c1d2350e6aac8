# liboctet_runtime: all that is needed to run .octet files and nothing else (no ONNX, no YAML, no compiler), as a
# shared library that shows only the public API, and as a static one.
include(OctetBundle)
octet_bundle_of("octet_base;octet_tensor;octet_arith;octet_graph;octet_kernels;octet_cpu;octet_interp;octet_passes;octet_executor;octet_engine"
  objects needs)

add_library(octet_runtime SHARED ${objects})
target_link_libraries(octet_runtime PRIVATE ${needs})
target_link_options(octet_runtime PRIVATE -Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/runtime/exports.map
  -Wl,--gc-sections -Wl,--as-needed)
if(OCTET_SANITIZE)
  target_link_options(octet_runtime PRIVATE -fsanitize=${OCTET_SANITIZE})
endif()
set_target_properties(octet_runtime PROPERTIES LINKER_LANGUAGE CXX VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}
  LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/runtime/exports.map)

add_library(octet_runtime_static STATIC ${objects})
set_target_properties(octet_runtime_static PROPERTIES OUTPUT_NAME octet_runtime LINKER_LANGUAGE CXX
  ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
