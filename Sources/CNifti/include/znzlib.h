// libnifti's header asks for <znzlib.h>, which Debian puts one folder down.
#pragma once
#include <nifti/znzlib.h>
