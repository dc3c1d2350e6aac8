# octet_hot_loops(ROOM SOURCE): compiles SOURCE once per instruction set, each time with OCTET_ISA naming the level
# (base, avx2, avx512), and adds the objects to the room. SOURCE puts everything into a namespace of that name and
# includes nothing that could emit shared inline functions: the linker would keep one copy of them, perhaps the one
# that this CPU cannot run. The room sees OCTET_X86_LEVELS=1 where the wider levels exist.
function(octet_hot_loops room source)
  set(levels base)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    list(APPEND levels avx2 avx512)
    target_compile_definitions(octet_${room} PRIVATE OCTET_X86_LEVELS=1)
  endif()
  set(flags_base "")
  set(flags_avx2 -mavx2 -mpopcnt)
  set(flags_avx512 -mavx2 -mpopcnt -mavx512f -mavx512bw -mavx512vl -mavx512dq)
  get_filename_component(stem ${source} NAME_WE)
  foreach(level ${levels})
    set(objects octet_${room}_${stem}_${level})
    add_library(${objects} OBJECT ${source})
    target_link_libraries(${objects} PRIVATE octet_flags)
    # -O3 also where the build type says -O2: these loops are written to be vectorized by the compiler.
    # GCC 12 takes the deliberately undefined operands inside its own AVX-512 headers for mistakes (GCC PR 105593).
    target_compile_options(${objects} PRIVATE ${flags_${level}} $<$<NOT:$<CONFIG:Debug>>:-O3>
      $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-uninitialized>)
    target_compile_definitions(${objects} PRIVATE OCTET_ISA=${level})
    target_sources(octet_${room} PRIVATE $<TARGET_OBJECTS:${objects}>)
  endforeach()
endfunction()
