# What `cmake --install` puts where, and the Debian package that CPack makes of it and of cmake/package.
include(GNUInstallDirs)

install(TARGETS segue RUNTIME COMPONENT program)
install(FILES docs/segue.1 DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT program)

# The service is the package's alone: `cmake --install` into somebody's prefix has no business in /etc.
set(package "${CMAKE_SOURCE_DIR}/cmake/package")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CMAKE_INSTALL_FULL_BINDIR /usr/bin)
configure_file("${package}/segue.service.in" "${CMAKE_BINARY_DIR}/segue.service" @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/segue.service" "${package}/segue.socket" DESTINATION /lib/systemd/system
        COMPONENT service EXCLUDE_FROM_ALL)
install(FILES "${package}/segue.ini" DESTINATION /etc/segue COMPONENT service EXCLUDE_FROM_ALL)
install(FILES LICENSE DESTINATION /usr/share/doc/segue RENAME copyright COMPONENT service EXCLUDE_FROM_ALL)
install(FILES README.md DESTINATION /usr/share/doc/segue COMPONENT service EXCLUDE_FROM_ALL)
install(DIRECTORY docs DESTINATION /usr/share/doc/segue COMPONENT service EXCLUDE_FROM_ALL
        FILES_MATCHING PATTERN "*.md")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME segue)
set(CPACK_PACKAGE_CONTACT "segue maintainers <maintainers@segue.invalid>")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, init-system-helpers (>= 1.54)")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "postgresql-client")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    "${package}/postinst;${package}/prerm;${package}/postrm;${package}/conffiles")
set(CPACK_STRIP_FILES ON)
# Both components, in one package.
set(CPACK_COMPONENTS_ALL program service)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
include(CPack)
