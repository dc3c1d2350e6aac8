# Everything comes from Debian's packages; scripts/dependencies lists them.
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(fmt REQUIRED)
find_package(Eigen3 3.3 REQUIRED NO_MODULE)
find_package(CLI11 REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(LibLZMA REQUIRED)
if(OCTET_TESTS)
  find_package(GTest REQUIRED)
endif()

# Debian's libonnx-dev ships the generated schema (onnx.pb.h) and libonnx_proto, without a CMake package for it.
find_path(ONNX_INCLUDE_DIR onnx/onnx_pb.h REQUIRED)
find_library(ONNX_PROTO_LIBRARY onnx_proto REQUIRED)
add_library(octet_onnx_proto INTERFACE)
target_include_directories(octet_onnx_proto SYSTEM INTERFACE ${ONNX_INCLUDE_DIR})
target_compile_definitions(octet_onnx_proto INTERFACE ONNX_ML=1 ONNX_NAMESPACE=onnx)
target_link_libraries(octet_onnx_proto INTERFACE ${ONNX_PROTO_LIBRARY} protobuf::libprotobuf)

# Graphviz lays out networks in reports; its development package has no CMake package either.
find_path(GRAPHVIZ_INCLUDE_DIR graphviz/gvc.h REQUIRED)
find_library(GRAPHVIZ_GVC_LIBRARY gvc REQUIRED)
find_library(GRAPHVIZ_CGRAPH_LIBRARY cgraph REQUIRED)
add_library(octet_graphviz INTERFACE)
target_include_directories(octet_graphviz SYSTEM INTERFACE ${GRAPHVIZ_INCLUDE_DIR} ${GRAPHVIZ_INCLUDE_DIR}/graphviz)
target_link_libraries(octet_graphviz INTERFACE ${GRAPHVIZ_GVC_LIBRARY} ${GRAPHVIZ_CGRAPH_LIBRARY})

# The chart library of reports, put into the program: JavaScript, no code of this build.
find_path(OCTET_VEGA_DIR vega-view.min.js PATHS /usr/share/javascript/vega)
if(NOT OCTET_VEGA_DIR)
  message(FATAL_ERROR "The chart library Vega was not found: install Debian's libjs-vega, or set OCTET_VEGA_DIR to the "
    "folder of vega-view.min.js")
endif()

# SpiderMonkey draws the charts of reports to SVG files, in a program of its own.
find_path(MOZJS_INCLUDE_DIR jsapi.h PATHS /usr/include/mozjs-102)
find_library(MOZJS_LIBRARY NAMES mozjs-102)
if(MOZJS_INCLUDE_DIR AND MOZJS_LIBRARY)
  set(OCTET_FIGURES ON)
  add_library(octet_mozjs INTERFACE)
  target_include_directories(octet_mozjs SYSTEM INTERFACE ${MOZJS_INCLUDE_DIR})
  target_link_libraries(octet_mozjs INTERFACE ${MOZJS_LIBRARY})
else()
  set(OCTET_FIGURES OFF)
  message(STATUS "Figures: off, 'octet report --figures' will not work (Debian's libmozjs-102-dev was not found)")
endif()

if(OCTET_ONEDNN)
  find_package(OpenMP REQUIRED COMPONENTS CXX)
  # Debian's dnnl-config.cmake asks for OpenCL's headers, which Octet does not use: find the library itself.
  find_path(DNNL_INCLUDE_DIR dnnl.hpp REQUIRED)
  find_library(DNNL_LIBRARY dnnl REQUIRED)
  add_library(octet_dnnl INTERFACE)
  target_include_directories(octet_dnnl SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
  target_link_libraries(octet_dnnl INTERFACE ${DNNL_LIBRARY} OpenMP::OpenMP_CXX)
endif()

# LibTorch for the room training: Debian's libtorch-dev, or any other by CMAKE_PREFIX_PATH. Its package sets compiler
# flags and targets of its own; only include folders and libraries are taken over. It links the libonnx_proto above.
if(OCTET_TRAINING STREQUAL "AUTO")
  find_package(Torch QUIET)
  set(OCTET_TRAINING ${Torch_FOUND})
elseif(OCTET_TRAINING)
  find_package(Torch REQUIRED)
endif()
if(OCTET_TRAINING)
  find_package(OpenMP REQUIRED COMPONENTS CXX)
  add_library(octet_torch INTERFACE)
  target_include_directories(octet_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
  # libstdc++ first: newer LibTorch exports parts of the one that it was built with, which crash in other programs.
  target_link_libraries(octet_torch INTERFACE stdc++ ${TORCH_LIBRARIES})
  # Newer LibTorch brings a libfmt of its own version in its include folder, without the library.
  target_compile_definitions(octet_torch INTERFACE FMT_HEADER_ONLY=1)
  message(STATUS "Training: LibTorch ${Torch_VERSION}")
else()
  message(STATUS "Training: off (LibTorch was not found or not asked for)")
endif()
