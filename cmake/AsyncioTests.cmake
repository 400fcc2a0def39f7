# The tests: one program a room from its *_test.cpp, and "whole" from tests/*_test.cpp.
#
# From the kernel upwards every test is known to CTest twice, as epoll/NAME and io_uring/NAME, and
# runs with ASYNCIO_BACKEND set so; what tests io_uring itself, only as io_uring/NAME. Executable
# scripts in tests/ become script/NAME.
find_package(GTest)
if(NOT GTest_FOUND)
    message(STATUS "asyncio: GoogleTest was not found, the tests are not built")
    return()
endif()
include(GoogleTest)

set(ASYNCIO_ROOMS_WITHOUT_BACKEND base coro os)
set(ASYNCIO_ROOMS_WITH_TLS)
if(ASYNCIO_HAVE_TLS)
    set(ASYNCIO_ROOMS_WITH_TLS tls whole)
endif()
set(ASYNCIO_TEST_TIMEOUT 60 CACHE STRING "Seconds one test may take")

# asyncio_room_tests(ROOM SOURCES...)
function(asyncio_room_tests room)
    set(program asyncio_${room}_tests)
    add_executable(${program} ${ARGN})
    target_link_libraries(${program} PRIVATE asyncio::testing GTest::gmock GTest::gtest_main)
    if(room IN_LIST ASYNCIO_ROOMS_WITH_TLS)  # its tests make certificates
        target_link_libraries(${program} PRIVATE asyncio::tls OpenSSL::SSL OpenSSL::Crypto)
    endif()
    asyncio_own_target(${program})
    if(room IN_LIST ASYNCIO_ROOMS_WITHOUT_BACKEND)
        asyncio_discover(${program} "" "" "*")
    else()
        asyncio_discover(${program} "epoll/" "ASYNCIO_BACKEND=epoll" "-IoUring.*:*/io_uring_*")
        asyncio_discover(${program} "io_uring/" "ASYNCIO_BACKEND=io_uring" "*")
    endif()
endfunction()

function(asyncio_discover program prefix environment filter)
    set(properties TIMEOUT ${ASYNCIO_TEST_TIMEOUT})
    if(environment)
        list(APPEND properties ENVIRONMENT "${environment}")
    endif()
    gtest_discover_tests(${program} TEST_PREFIX "${prefix}" DISCOVERY_TIMEOUT 60 TEST_FILTER "${filter}"
        PROPERTIES ${properties} WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
endfunction()

file(GLOB_RECURSE test_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/asyncio/*_test.cpp")
set(rooms)
file(GLOB sources_of_whole CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/tests/*_test.cpp")
if(NOT ASYNCIO_HAVE_TLS)
    list(FILTER test_sources EXCLUDE REGEX "/asyncio/tls/")
    list(FILTER sources_of_whole EXCLUDE REGEX "/tests/tls_[^/]*$")
endif()
foreach(source IN LISTS test_sources)
    file(RELATIVE_PATH place "${CMAKE_CURRENT_SOURCE_DIR}/asyncio" "${source}")
    string(REGEX REPLACE "/.*" "" room "${place}")
    list(APPEND rooms ${room})
    list(APPEND sources_of_${room} "${source}")
endforeach()
if(sources_of_whole)
    list(APPEND rooms whole)
endif()
list(REMOVE_DUPLICATES rooms)
foreach(room IN LISTS rooms)
    asyncio_room_tests(${room} ${sources_of_${room}})
endforeach()

# asyncio_script_test(NAME FILE LABEL): an executable script, told where the build is.
function(asyncio_script_test name file label)
    string(TOUPPER "${CMAKE_BUILD_TYPE}" config)
    set(flags "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${config}}")
    add_test(NAME script/${name} COMMAND "${file}" WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
    set_tests_properties(script/${name} PROPERTIES TIMEOUT 300 LABELS ${label}
        ENVIRONMENT "ASYNCIO_BUILD_DIR=${CMAKE_CURRENT_BINARY_DIR};CXX=${CMAKE_CXX_COMPILER};ASYNCIO_CXX_FLAGS=${flags}")
endfunction()

file(GLOB scripts CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/tests/*.py"
    "${CMAKE_CURRENT_SOURCE_DIR}/tests/*.sh"
    "${CMAKE_CURRENT_SOURCE_DIR}/tools/asyncio_lint_test.py")
foreach(script IN LISTS scripts)
    execute_process(COMMAND test -x "${script}" RESULT_VARIABLE not_executable)
    if(NOT not_executable)
        get_filename_component(name "${script}" NAME_WE)
        asyncio_script_test(${name} "${script}" script)
    endif()
endforeach()
asyncio_script_test(install "${CMAKE_CURRENT_SOURCE_DIR}/tests/install/run.sh" slow)

# The proof of docs/reliability.md; `./dev proof` builds it, and the release preset knows its slices.
option(ASYNCIO_PROOF_SLICES "Let CTest run the short form of every goal of tests/proof" OFF)
add_subdirectory(tests/model)
add_subdirectory(tests/proof)
