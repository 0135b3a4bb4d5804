// Headers only; the code is in libnifti2.
