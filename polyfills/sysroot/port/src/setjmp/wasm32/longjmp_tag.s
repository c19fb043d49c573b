# The tag of the exceptions that longjmp throws, with one parameter: an address.
	.globl __c_longjmp
	.tagtype __c_longjmp i32
__c_longjmp:
	.section .custom_section.vkernel.data_model,"",@
	.ascii "ilp32;"
