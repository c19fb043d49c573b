/* Included before everything in the sysroot: each object says what its types are, as vkcc has it
 * (polyfills/vkcc/src/model.rs). */
__asm__(".section .custom_section.vkernel.data_model,\"\",@\n\t.ascii \"ilp32;\"\n\t.section .text,\"\",@\n");
