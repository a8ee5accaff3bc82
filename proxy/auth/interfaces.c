#include "interfaces.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static bool is_wanted(const struct ifaddrs *i) {
    return i->ifa_addr && i->ifa_netmask && (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6);
}

static void copy(struct sockaddr_storage *to, const struct sockaddr *from, sa_family_t family) {
    memcpy(to, from, family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    to->ss_family = family; /* of some masks the kernel leaves it out */
}

size_t sg_interfaces(struct sg_hba_network **ret_networks) {
    struct ifaddrs *list = NULL;
    size_t most = 1, len = 0;
    if (getifaddrs(&list) != 0) {
        list = NULL;
    }
    for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
        most += is_wanted(i);
    }
    struct sg_hba_network *networks = calloc(most, sizeof(*networks));
    if (!networks) {
        abort();
    }
    for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
        if (is_wanted(i)) {
            copy(&networks[len].address, i->ifa_addr, i->ifa_addr->sa_family);
            copy(&networks[len++].mask, i->ifa_netmask, i->ifa_addr->sa_family);
        }
    }
    freeifaddrs(list);
    *ret_networks = networks;
    return len;
}
