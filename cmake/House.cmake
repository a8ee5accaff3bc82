# How every target of the house is compiled.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")

option(SEGUE_TESTS "Build the tests" ON)
option(SEGUE_FUZZ "Build the fuzz targets with libFuzzer (needs clang); without it they replay their seeds" OFF)
set(SEGUE_SANITIZE "" CACHE STRING "Sanitizers for every target: address,undefined or thread")
option(SEGUE_COVERAGE "Instrument for gcov" OFF)

add_library(segue_options INTERFACE)
target_include_directories(segue_options INTERFACE "${CMAKE_SOURCE_DIR}/include")
target_compile_definitions(segue_options INTERFACE _GNU_SOURCE SEGUE_VERSION="${PROJECT_VERSION}")
target_compile_options(segue_options INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings
  -Wno-unused-parameter -fno-common -fno-omit-frame-pointer)
if(SEGUE_SANITIZE)
  target_compile_options(segue_options INTERFACE "-fsanitize=${SEGUE_SANITIZE}" -fno-sanitize-recover=all)
  target_link_options(segue_options INTERFACE "-fsanitize=${SEGUE_SANITIZE}")
endif()
if(SEGUE_FUZZ)
  target_compile_options(segue_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(SEGUE_COVERAGE)
  target_compile_options(segue_options INTERFACE --coverage)
  target_link_options(segue_options INTERFACE --coverage)
endif()

# segue_library(name SOURCES... LINKS...): a static library of this house.
function(segue_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PUBLIC segue_options ${ARG_LINKS})
endfunction()

# segue_program(name SOURCES... LINKS...): an executable in the root of the build directory.
function(segue_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE segue_options ${ARG_LINKS})
endfunction()

# segue_unit_test(name SOURCES... LINKS...): a Criterion program and its ctest entry.
function(segue_unit_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  if(SEGUE_SANITIZE STREQUAL "thread")
    # Criterion's library does not start under the thread sanitizer; its headers are enough.
    segue_program(${name} SOURCES ${ARG_SOURCES} "${CMAKE_SOURCE_DIR}/tests/criterion_in_process.c" LINKS ${ARG_LINKS})
    target_include_directories(${name} PRIVATE ${criterion_INCLUDE_DIRS})
  else()
    segue_program(${name} SOURCES ${ARG_SOURCES} LINKS ${ARG_LINKS} segue::criterion)
  endif()
  # Criterion declares its test functions itself; they have no prototypes of ours.
  target_compile_options(${name} PRIVATE -Wno-missing-prototypes)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES
    ENVIRONMENT "SEGUE_SOURCE_DIR=${CMAKE_SOURCE_DIR}" TIMEOUT 300 LABELS unit)
endfunction()

# segue_fuzz(name SOURCES... LINKS...): LLVMFuzzerTestOneInput as a libFuzzer program under SEGUE_FUZZ, and otherwise as
# a test that replays tests/fuzz/seeds/<name>.
function(segue_fuzz name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  if(SEGUE_FUZZ)
    segue_program(${name} SOURCES ${ARG_SOURCES} LINKS ${ARG_LINKS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    segue_program(${name} SOURCES ${ARG_SOURCES} "${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c" LINKS ${ARG_LINKS})
    add_test(NAME ${name} COMMAND ${name} "${CMAKE_SOURCE_DIR}/tests/fuzz/seeds/${name}")
    set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 300)
  endif()
  target_compile_options(${name} PRIVATE -Wno-missing-prototypes)
endfunction()
