# What every target of our own gets: warnings, and what the build found out about the machine.

if(PROJECT_IS_TOP_LEVEL)
    find_program(ASYNCIO_CCACHE ccache)
    if(ASYNCIO_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
        set(CMAKE_CXX_COMPILER_LAUNCHER "${ASYNCIO_CCACHE}")
    endif()
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
        find_program(ASYNCIO_LLD ld.lld-19)
        if(ASYNCIO_LLD)
            add_link_options(-fuse-ld=lld-19)
        endif()
    endif()
endif()

# asyncio_own_target(TARGET): our warnings and private definitions, for one target of this project.
# asyncio_own_target(TARGET AS_USERS_DO): without what a user's build does not have.
function(asyncio_own_target target)
    set_target_properties(${target} PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
    target_compile_definitions(${target} PRIVATE
        ASYNCIO_HAVE_LIBURING=${ASYNCIO_HAVE_LIBURING} ASYNCIO_NO_COMPILER_NOTE)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow)
    if(ASYNCIO_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # False alarms of GCC 12: variables that live in a coroutine frame, operator new of a promise
        # (PR 109224), and fences, which its thread sanitizer does not model.
        target_compile_options(${target} PRIVATE
            -Wno-maybe-uninitialized -Wno-mismatched-new-delete -Wno-tsan)
    elseif(NOT "AS_USERS_DO" IN_LIST ARGN)
        # Dangling coroutine arguments become errors (see the guide on lifetimes).
        target_compile_definitions(${target} PRIVATE ASYNCIO_STRICT_LIFETIMES=1)
    endif()
    if(ASYNCIO_HAVE_LIBURING)
        target_link_libraries(${target} PRIVATE PkgConfig::LIBURING)
    endif()
endfunction()

# asyncio_programs(PREFIX FOLDER [OPTION...]): every FOLDER/NAME.cpp becomes the program PREFIX_NAME,
# with the options of asyncio_own_target; the target asyncio_programs builds all of them. A program
# whose optional library is missing is left out: one named tls... needs OpenSSL, json... nlohmann's.
function(asyncio_programs prefix folder)
    if(NOT TARGET asyncio_programs)
        add_custom_target(asyncio_programs)
    endif()
    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp")
    find_package(nlohmann_json 3 QUIET)
    if(NOT ASYNCIO_HAVE_TLS)
        list(FILTER sources EXCLUDE REGEX "tls[^/]*\\.cpp$")
    endif()
    if(NOT nlohmann_json_FOUND)
        list(FILTER sources EXCLUDE REGEX "json[^/]*\\.cpp$")
    endif()
    foreach(source IN LISTS sources)
        get_filename_component(name "${source}" NAME_WE)
        add_executable(${prefix}_${name} "${source}")
        target_link_libraries(${prefix}_${name} PRIVATE asyncio::asyncio Threads::Threads)
        if(name MATCHES "tls")
            target_link_libraries(${prefix}_${name} PRIVATE asyncio::tls OpenSSL::SSL OpenSSL::Crypto)
        elseif(name MATCHES "json")
            target_link_libraries(${prefix}_${name} PRIVATE nlohmann_json::nlohmann_json)
        endif()
        asyncio_own_target(${prefix}_${name} ${ARGN})
        add_dependencies(asyncio_programs ${prefix}_${name})
    endforeach()
endfunction()

# asyncio_examples(): examples/*.cpp, as a user would compile them, each with --help. They are built
# quickly rather than well where the build is for debugging.
function(asyncio_examples)
    asyncio_programs(example examples AS_USERS_DO)
    add_library(asyncio_example_help OBJECT "${CMAKE_CURRENT_SOURCE_DIR}/cmake/example_help.cpp")
    target_compile_definitions(asyncio_example_help PRIVATE
        ASYNCIO_EXAMPLES="${CMAKE_CURRENT_SOURCE_DIR}/examples")
    asyncio_own_target(asyncio_example_help)
    get_property(programs DIRECTORY PROPERTY BUILDSYSTEM_TARGETS)
    list(FILTER programs INCLUDE REGEX "^example_")
    foreach(program IN LISTS programs)
        target_link_libraries(${program} PRIVATE asyncio_example_help)
        if(NOT program STREQUAL "example_chat_server")
            target_compile_options(${program} PRIVATE $<$<CONFIG:Debug>:-O0>)
        endif()
    endforeach()
endfunction()
