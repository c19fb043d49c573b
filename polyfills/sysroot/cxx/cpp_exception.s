# The tag of C++ exceptions, with one parameter: the address of the exception object.
	.globl __cpp_exception
	.tagtype __cpp_exception i32
__cpp_exception:
	.section .custom_section.vkernel.data_model,"",@
	.ascii "ilp32;"
