# `cmake --install`: the library, its headers, find_package(asyncio), asyncio.pc and asyncio-lint.
#
# An optional component NAME (tls, testing) has headers and asyncioNAMETargets.cmake of its own, tls also
# a library and asyncio-tls.pc, installed if it was built. testing is headers only: they need GoogleTest.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(asyncio_config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/asyncio")
target_include_directories(asyncio INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
install(TARGETS asyncio EXPORT asyncioTargets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT asyncioTargets NAMESPACE asyncio:: DESTINATION "${asyncio_config_dir}")

if(ASYNCIO_HAVE_TLS)
    target_include_directories(asyncio_tls INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
    install(TARGETS asyncio_tls EXPORT asynciotlsTargets
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
    install(EXPORT asynciotlsTargets NAMESPACE asyncio:: DESTINATION "${asyncio_config_dir}")
endif()

target_include_directories(asyncio_testing INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
install(TARGETS asyncio_testing EXPORT asynciotestingTargets
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT asynciotestingTargets NAMESPACE asyncio:: DESTINATION "${asyncio_config_dir}")

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/asyncioConfig.cmake.in"
    "${CMAKE_CURRENT_BINARY_DIR}/asyncioConfig.cmake" INSTALL_DESTINATION "${asyncio_config_dir}")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/asyncioConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/asyncioConfig.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/asyncioConfigVersion.cmake" DESTINATION "${asyncio_config_dir}")

# A static library brings its dependencies into the link of whoever uses it; a shared one does not.
if(BUILD_SHARED_LIBS)
    set(asyncio_pc_visibility ".private")
endif()
if(ASYNCIO_HAVE_LIBURING)
    set(asyncio_pc_requires "Requires${asyncio_pc_visibility}: liburing")
endif()
configure_file("${CMAKE_CURRENT_LIST_DIR}/asyncio.pc.in" "${CMAKE_CURRENT_BINARY_DIR}/asyncio.pc" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/asyncio.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
if(ASYNCIO_HAVE_TLS)
    set(asyncio_tls_pc_requires "Requires: asyncio openssl >= 3")
    if(BUILD_SHARED_LIBS)
        set(asyncio_tls_pc_requires "Requires: asyncio\nRequires.private: openssl >= 3")
    endif()
    configure_file("${CMAKE_CURRENT_LIST_DIR}/asyncio-tls.pc.in"
        "${CMAKE_CURRENT_BINARY_DIR}/asyncio-tls.pc" @ONLY)
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/asyncio-tls.pc"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endif()
install(PROGRAMS "${CMAKE_CURRENT_SOURCE_DIR}/tools/asyncio_lint.py"
    DESTINATION "${CMAKE_INSTALL_BINDIR}" RENAME asyncio-lint)
