/**
 * The machine code that answers a bus error, as `bus-errors.ts` uses it. It may run between any two
 * instructions of the program, so it calls nothing: it looks through a table of ranges, and asks the
 * system for an empty page where one of them has lost its own.
 *
 * @module
 */

/** The table: 64-bit words at its start, and entries behind. */
export const TABLE_ENTRIES = 0;
export const TABLE_FAULTS = 1;
export const TABLE_PREVIOUS = 2;
export const TABLE_PAGE_BYTES = 3;
/** After four words that stay 0, a `struct sigaction` as the system takes it. */
export const TABLE_FIRST = 8;
/** Words of an entry: first address, address behind the last, faults. */
export const ENTRY_START = 0;
export const ENTRY_END = 1;
export const ENTRY_FAULTS = 2;
export const ENTRY_WORDS = 4;

/** Code with a place for the table's address. */
export interface Code {
  readonly bytes: Uint8Array;
  /** Where the 8 bytes of the address are. */
  readonly table: number;
}

// deno-fmt-ignore
// dprint-ignore
const X64 = [
  0x48, 0xb9, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // movabs $TABLE,%rcx  ; where the table is, filled in
  0x48, 0x8b, 0x46, 0x10,                                     // mov 0x10(%rsi),%rax  ; siginfo.si_addr
  0x4c, 0x8b, 0x01,                                           // mov (%rcx),%r8  ; entries
  0x4c, 0x8d, 0x49, 0x40,                                     // lea 0x40(%rcx),%r9  ; the first of them
  0x4d, 0x85, 0xc0,                                           // test %r8,%r8  ; 1:
  0x74, 0x52,                                                 // je 0x6c  ; none has it: 4
  0x49, 0x3b, 0x01,                                           // cmp (%r9),%rax
  0x72, 0x44,                                                 // jb 0x63  ; 2
  0x49, 0x3b, 0x41, 0x08,                                     // cmp 0x8(%r9),%rax
  0x73, 0x3e,                                                 // jae 0x63  ; 2
  0xf0, 0x49, 0xff, 0x41, 0x10,                               // lock incq 0x10(%r9)  ; count it for the entry
  0xf0, 0x48, 0xff, 0x41, 0x08,                               // lock incq 0x8(%rcx)  ; and for all
  0x48, 0x8b, 0x71, 0x18,                                     // mov 0x18(%rcx),%rsi  ; bytes of a page
  0x48, 0x89, 0xf7,                                           // mov %rsi,%rdi
  0x48, 0xf7, 0xdf,                                           // neg %rdi
  0x48, 0x21, 0xc7,                                           // and %rax,%rdi  ; start of the page
  0x51,                                                       // push %rcx
  0xba, 0x03, 0x00, 0x00, 0x00,                               // mov $0x3,%edx  ; PROT_READ | PROT_WRITE
  0x41, 0xba, 0x32, 0x00, 0x00, 0x00,                         // mov $0x32,%r10d  ; MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS
  0x49, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff,                   // mov $0xffffffffffffffff,%r8
  0x45, 0x31, 0xc9,                                           // xor %r9d,%r9d
  0xb8, 0x09, 0x00, 0x00, 0x00,                               // mov $0x9,%eax  ; mmap
  0x0f, 0x05,                                                 // syscall
  0x59,                                                       // pop %rcx
  0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff,                         // cmp $0xfffffffffffff000,%rax  ; -4095 and up: errno
  0x77, 0x16,                                                 // ja 0x78  ; 3
  0xc3,                                                       // ret  ; the access is made again
  0x49, 0x83, 0xc1, 0x20,                                     // add $0x20,%r9  ; 2: the next entry
  0x49, 0xff, 0xc8,                                           // dec %r8
  0xeb, 0xa9,                                                 // jmp 0x15  ; 1
  0x48, 0x8b, 0x41, 0x10,                                     // mov 0x10(%rcx),%rax  ; 4: who was asked before
  0x48, 0x83, 0xf8, 0x01,                                     // cmp $0x1,%rax
  0x76, 0x02,                                                 // jbe 0x78  ; SIG_DFL or SIG_IGN: 3
  0xff, 0xe0,                                                 // jmp *%rax
  0xbf, 0x07, 0x00, 0x00, 0x00,                               // mov $0x7,%edi  ; 3: SIGBUS
  0x48, 0x8d, 0x71, 0x20,                                     // lea 0x20(%rcx),%rsi  ; SIG_DFL, no flags, no mask
  0x31, 0xd2,                                                 // xor %edx,%edx
  0x41, 0xba, 0x08, 0x00, 0x00, 0x00,                         // mov $0x8,%r10d
  0xb8, 0x0d, 0x00, 0x00, 0x00,                               // mov $0xd,%eax  ; rt_sigaction
  0x0f, 0x05,                                                 // syscall
  0xc3,                                                       // ret  ; the access is made again, and ends the process
];

// deno-fmt-ignore
// dprint-ignore
const ARM64 = [
  0xc9, 0x05, 0x00, 0x58, // ldr x9, TABLE
  0x2a, 0x08, 0x40, 0xf9, // ldr x10, [x1, #16]  ; siginfo.si_addr
  0x2b, 0x01, 0x40, 0xf9, // ldr x11, [x9]  ; entries
  0x2c, 0x01, 0x01, 0x91, // add x12, x9, #64  ; the first of them
  0xeb, 0x03, 0x00, 0xb4, // cbz x11, +0x8c  ; 1: none has it: 5
  0x8d, 0x39, 0x40, 0xa9, // ldp x13, x14, [x12]
  0x5f, 0x01, 0x0d, 0xeb, // cmp x10, x13
  0x23, 0x03, 0x00, 0x54, // b.lo +0x80  ; 4
  0x5f, 0x01, 0x0e, 0xeb, // cmp x10, x14
  0xe2, 0x02, 0x00, 0x54, // b.hs +0x80  ; 4
  0x8d, 0x41, 0x00, 0x91, // add x13, x12, #16  ; count it for the entry
  0xae, 0x7d, 0x5f, 0xc8, // ldxr x14, [x13]
  0xce, 0x05, 0x00, 0x91, // add x14, x14, #1
  0xae, 0x7d, 0x0f, 0xc8, // stxr w15, x14, [x13]
  0xaf, 0xff, 0xff, 0x35, // cbnz w15, +0x2c
  0x2d, 0x21, 0x00, 0x91, // add x13, x9, #8  ; and for all
  0xae, 0x7d, 0x5f, 0xc8, // ldxr x14, [x13]
  0xce, 0x05, 0x00, 0x91, // add x14, x14, #1
  0xae, 0x7d, 0x0f, 0xc8, // stxr w15, x14, [x13]
  0xaf, 0xff, 0xff, 0x35, // cbnz w15, +0x40
  0x21, 0x0d, 0x40, 0xf9, // ldr x1, [x9, #24]  ; bytes of a page
  0xed, 0x03, 0x01, 0xcb, // neg x13, x1
  0x40, 0x01, 0x0d, 0x8a, // and x0, x10, x13  ; start of the page
  0x62, 0x00, 0x80, 0xd2, // mov x2, #3  ; PROT_READ | PROT_WRITE
  0x43, 0x06, 0x80, 0xd2, // mov x3, #50  ; MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS
  0x04, 0x00, 0x80, 0x92, // mov x4, #-1
  0x05, 0x00, 0x80, 0xd2, // mov x5, #0
  0xc8, 0x1b, 0x80, 0xd2, // mov x8, #222  ; mmap
  0x01, 0x00, 0x00, 0xd4, // svc #0
  0x1f, 0x04, 0x40, 0xb1, // cmn x0, #1, lsl #12 // =4096  ; -4095 and up: errno
  0x28, 0x01, 0x00, 0x54, // b.hi +0x9c  ; 6
  0xc0, 0x03, 0x5f, 0xd6, // ret  ; the access is made again
  0x8c, 0x81, 0x00, 0x91, // add x12, x12, #32  ; 4: the next entry
  0x6b, 0x05, 0x00, 0xd1, // sub x11, x11, #1
  0xe2, 0xff, 0xff, 0x17, // b +0x10
  0x2d, 0x09, 0x40, 0xf9, // ldr x13, [x9, #16]  ; 5: who was asked before
  0xbf, 0x05, 0x00, 0xf1, // cmp x13, #1
  0x49, 0x00, 0x00, 0x54, // b.ls +0x9c  ; SIG_DFL or SIG_IGN: 6
  0xa0, 0x01, 0x1f, 0xd6, // br x13
  0xe0, 0x00, 0x80, 0xd2, // mov x0, #7  ; 6: SIGBUS
  0x21, 0x81, 0x00, 0x91, // add x1, x9, #32  ; SIG_DFL, no flags, no mask
  0x02, 0x00, 0x80, 0xd2, // mov x2, #0
  0x03, 0x01, 0x80, 0xd2, // mov x3, #8
  0xc8, 0x10, 0x80, 0xd2, // mov x8, #134  ; rt_sigaction
  0x01, 0x00, 0x00, 0xd4, // svc #0
  0xc0, 0x03, 0x5f, 0xd6, // ret  ; the access is made again, and ends the process
  0, 0, 0, 0, 0, 0, 0, 0, // TABLE
];

/** The code for a processor as `process.arch` names it; null where there is none. */
export function handlerCode(arch: string): Code | null {
  switch (arch) {
    case "x64":
      return { bytes: Uint8Array.from(X64), table: 2 };
    case "arm64":
      return { bytes: Uint8Array.from(ARM64), table: ARM64.length - 8 };
    default:
      return null;
  }
}
